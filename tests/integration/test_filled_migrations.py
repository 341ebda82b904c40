"""Migrations of a database that is in use: every version filled from the one before, up, used, and down again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import Database, Scope, Which, Worker, downgrade, make_store, open_database, upgrade
from gda.store.schema import MIGRATIONS, VERSION_TABLE
from tests.builders import MORNING, VirtualClock

VERSIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]
"""From the first to the newest."""

WHEN = {"day before": "2026-03-09 06:00:00.000000", "now": "2026-03-10 05:59:00.000000", "later": "2026-03-10 06:01:00"}

OCCURRENCES = (
    # status (also its id), owner and expiry of the lease, burnt, reason, started, finished
    ("scheduled", "NULL", "NULL", 0, "", "NULL", "NULL"),
    ("running", "'w'", "{now}", 0, "", "{then}", "NULL"),
    ("retrying", "NULL", "NULL", 2, "503", "{then}", "NULL"),
    ("held", "NULL", "NULL", 0, "consent:google", "{then}", "NULL"),
    ("done", "NULL", "NULL", 0, "3 messages", "{then}", "{now}"),
    ("skipped", "NULL", "NULL", 0, "no new mail", "{then}", "{now}"),
    ("dead", "NULL", "NULL", 3, "550", "{then}", "{now}"),
    ("cancelled", "NULL", "NULL", 0, "not wanted", "NULL", "{now}"),
    ("discarded", "NULL", "NULL", 1, "550", "{then}", "{now}"),
)
LETTER = "occurrence_id, reason, first_error, last_error, created_at"
FIRST = [
    ("users", "id, email, timezone, created_at", "'ada', 'ada@example.org', 'Europe/London', {then}"),
    ("credentials", "user_id, provider, refresh_token, updated_at", "'ada', 'google', 'sealed', {then}"),
    (
        "schedules",
        "id, user_id, kind, expression, active_from, next_due_at, settings",
        "'s1', 'ada', 'digest', 'daily 07:30', {then}, {later}, '{{\"label\": \"mine\"}}'",
    ),
    (
        "schedule_revisions",
        "schedule_id, revision, expression, timezone, active_from",
        "'s1', 1, 'daily 07:30', 'Europe/London', {then}",
    ),
    ("mail_cursors", "schedule_id, up_to, recent_ids", "'s1', {then}, '[\"m1\"]'"),
    *(
        (
            "occurrences",
            "id, kind, dedup_key, user_id, schedule_id, revision, slot, due_at, status, ready_at, lease_owner, "
            "lease_expires_at, fence, burnt, reason, woken_by, created_at, started_at, finished_at",
            f"'{status}', 'digest', 'ada/default/{number}', 'ada', 's{number}', 1, '2026-03-0{number}T07:30', "
            f"{{then}}, '{status}', {{now}}, {owner}, {lease}, 1, {burnt}, '{reason}', 'schedule', {{then}}, "
            f"{begun}, {ended}",
        )
        for number, (status, owner, lease, burnt, reason, begun, ended) in enumerate(OCCURRENCES, 1)
    ),
    ("attempts", "occurrence_id, number, fence, owner, started_at", "'running', 1, 1, 'w', {then}"),
    (
        "attempts",
        "occurrence_id, number, fence, owner, started_at, ended_at, outcome, error_class, message",
        "'dead', 1, 1, 'w', {then}, {now}, 'failed', 'Permanent', '550'",
    ),
    ("dead_letters", LETTER, "'dead', 'permanent', '550', '550', {now}"),
    ("dead_letters", LETTER, "'discarded', 'permanent', '550', '550', {now}"),
    (
        "effects",
        "occurrence_id, step, state, fence, reference, content, intent_at, busy_until, confirmed_at",
        "'done', 'mail', 'confirmed', 1, '<1@gda>', '{{}}', {then}, {now}, {now}",
    ),
]
"""What version 0001 wrote: table, columns, values; an occurrence in every status."""

Snapshot = dict[str, list[dict[str, Any]]]


async def fill(database: Database) -> None:
    """Write the rows of the first version as that version did, without the code of today."""
    zone = "" if database.is_sqlite else "+00"
    instants = {
        name: f"'{WHEN[word]}{zone}'" for name, word in (("then", "day before"), ("now", "now"), ("later", "later"))
    }
    async with database.write() as connection:
        for table, columns, values in FIRST:
            insert = f"INSERT INTO gda_{table} ({columns}) VALUES ({values.format(**instants)})"  # noqa: S608
            await connection.exec_driver_sql(insert)


async def snapshot(database: Database) -> Snapshot:
    """Every table with all its rows, as the driver gives them."""
    async with database.read() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        found = {}
        for name in sorted(set(names) - {VERSION_TABLE}):
            rows = await connection.exec_driver_sql(f"SELECT * FROM {name}")  # noqa: S608
            found[name] = sorted((dict(row._mapping) for row in rows), key=repr)
        return found


def known_before(now: Snapshot, before: Snapshot) -> Snapshot:
    """Of ``now`` the tables and columns that ``before`` has; for tables without rows nothing can be lost."""
    return {
        table: sorted(({name: row[name] for name in rows[0]} for row in now[table]), key=repr) if rows else now[table]
        for table, rows in before.items()
    }


@asynccontextmanager
async def a_filled_database(url: str, clock: VirtualClock | None = None) -> AsyncIterator[Database]:
    """A database of the first version, in use."""
    database = open_database(url, clock=clock)
    try:
        await upgrade(database, VERSIONS[0])
        await fill(database)
        yield database
    finally:
        await database.close()


async def test_each_version_keeps_what_the_one_before_knew_on_the_way_up_and_down(database_url):
    async with a_filled_database(database_url) as database:
        seen = [await snapshot(database)]
        for version in VERSIONS[1:]:
            await upgrade(database, version)
            seen.append(await snapshot(database))
            assert known_before(seen[-1], seen[-2]) == seen[-2], version
        for version, before in reversed(list(zip(VERSIONS[:-1], seen[:-1], strict=True))):
            await downgrade(database, version)
            assert await snapshot(database) == before, version

    assert {row["status"] for row in seen[0]["gda_occurrences"]} == {str(status) for status in Status}
    assert all(seen[0].values()), "a table of the first version was left empty"


async def test_a_ledger_of_the_first_version_is_used_on_after_the_upgrade(database_url):
    clock = VirtualClock(MORNING)
    async with a_filled_database(database_url, clock) as database:
        await upgrade(database)
        store = make_store(database, Settings())
        [letter] = await store.dead_letters.replay(Which(ids=("dead",)), by="ops")
        claims = await store.ledger.claim(Scope("digest"), Worker("w2"), limit=100)
        suspects = await store.ledger.claim(Scope("digest"), Worker("w2"), limit=100, suspects=True)
        numbers = {one.occurrence.id: await store.ledger.start(one) for one in claims}
        ready, _ = await store.ledger.release("consent:google", user_id="ada")
        rows = {row.id: row.status for row in await store.history.list(limit=100)}
        waiting = await store.schedules.all(user_id="ada")
        before = await snapshot(database)
        await downgrade(database, VERSIONS[0])
        after = await snapshot(database)

    assert (letter.occurrence_id, letter.last_error) == ("dead", "550")
    assert set(numbers.items()) == {("scheduled", 1), ("retrying", 1), ("dead", 2)}
    assert [one.occurrence.id for one in suspects] == ["running"]
    assert ready == ["held"]
    assert rows == {
        **{name: Status.RUNNING for name in ("scheduled", "retrying", "dead", "running")},
        **{name: Status(name) for name in ("done", "skipped", "cancelled", "discarded")},
        "held": Status.SCHEDULED,
    }
    assert [(one.id, one.expression, one.revision) for one in waiting] == [("s1", "daily 07:30", 1)]
    assert {table: known_before({table: before[table]}, {table: after[table]})[table] for table in after} == after


async def test_of_two_slots_of_a_schedule_that_ran_at_once_one_goes_on_and_one_is_claimed_anew(database_url):
    async with a_filled_database(database_url, VirtualClock(MORNING)) as database:
        async with database.write() as connection:
            await connection.exec_driver_sql(
                "UPDATE gda_occurrences SET schedule_id = 's1', status = 'running', lease_owner = 'w',"
                " lease_expires_at = ready_at WHERE status IN ('scheduled', 'running')"
            )
        await upgrade(database)
        rows = {row.id: row.status for row in await make_store(database, Settings()).history.list(limit=100)}

    assert sorted((rows["scheduled"], rows["running"])) == [Status.RETRYING, Status.RUNNING]


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_goes_down_to_nothing_and_up_again(database_url, version):
    async with a_filled_database(database_url) as database:
        await upgrade(database, version)
        await downgrade(database, "base")
        assert await snapshot(database) == {}
        assert await upgrade(database, version) == version
