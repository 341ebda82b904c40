"""What the ledger and the sweep ask again and again is answered through indexes, however many rows are settled."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import CancelledRun, Scope, Store, Waker, Wish, Worker
from gda.store.tables import attempts, effects, occurrences
from gda.sweep import sweep
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

DIGESTS = Scope("digest")
ME = Worker("me")
SETTLED = 5000
GRACE = timedelta(seconds=120)
CANCELLED = [CancelledRun("r1", Scope("digest", user_id="u7"), MORNING - timedelta(minutes=1))]
Ask = Callable[[Store], Awaitable[Any]]

QUESTIONS: dict[str, tuple[Ask, set[str]]] = {
    "claim": (lambda store: store.ledger.claim(DIGESTS, ME, limit=10), {"ready", "expired"}),
    "suspects": (lambda store: store.ledger.claim(DIGESTS, ME, limit=1, suspects=True), {"ready", "expired"}),
    "recover": (lambda store: store.ledger.recover(), {"expired"}),
    "next ready": (lambda store: store.ledger.next_ready(DIGESTS), {"ready"}),
    "backlog": (lambda store: store.ledger.backlog(DIGESTS), {"ready"}),
    "renew": (lambda store: store.ledger.renew(ME), {"lease"}),
    "hand back": (lambda store: store.ledger.hand_back(ME), {"lease"}),
    "abandoned runs": (lambda store: store.ledger.abandoned_runs(), {"expired"}),
    "release": (lambda store: store.ledger.release("consent:google"), {"held"}),
    "expire held": (lambda store: store.ledger.expire_held(), {"held"}),
    "waiting": (lambda store: store.sweeping.waiting(GRACE), {"ready"}),
    "active runs": (lambda store: store.sweeping.active_runs(timedelta(minutes=5)), {"expired", "finished"}),
    "pulse": (lambda store: store.stats.pulse(), {"expired", "waiting"}),
    "cancelled": (lambda store: store.commands.cancel(CANCELLED), {"waiting", "user"}),
}
WAITING, RUNNING = {"ready", "waiting"}, {"expired", "lease"}
EITHER = {"ready": WAITING, "waiting": WAITING, "expired": RUNNING, "lease": RUNNING, "user": {"user", *WAITING}}
"""Partial indexes over the same few rows: which of them a planner takes does not matter."""


@pytest.mark.parametrize("name", QUESTIONS)
async def test_the_ledger_looks_only_at_what_is_not_settled(tmp_path, name):
    ask, wanted = QUESTIONS[name]
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store)
        asked = await statements_of(store, ask)
        plans = [line for statement in asked for line in await plan_of(store, *statement)]

    looks = [line for line in plans if "gda_occurrences" in line and "(id=?)" not in line and "sibling" not in line]
    used = {match[1] for line in looks if (match := re.search(r"ix_gda_occurrences_(\w+)", line))}
    assert used == wanted, plans
    # Each look is served by one of the indexes that leave settled rows out.
    assert all("ix_gda_occurrences_" in line for line in looks), plans
    # And whether another slot of the schedule runs, by the index over the running ones.
    beside = [line for line in plans if "SEARCH sibling" in line]
    assert all("uq_gda_occurrences_running_schedule (schedule_id=?)" in line for line in beside), plans


async def test_postgresql_answers_each_question_through_those_indexes_beside_thousands_of_settled_rows(postgres_url):
    async with a_store(postgres_url, clock=VirtualClock(MORNING)) as store:
        await filled(store)
        for name, (ask, wanted) in QUESTIONS.items():
            plans = [line for asked in await statements_of(store, ask) for line in await plan_of(store, *asked)]
            used = set(re.findall(r"ix_gda_occurrences_(\w+)", "\n".join(plans)))
            assert not [line for line in plans if "Seq Scan on gda_occurrences" in line], (name, plans)
            assert all(used & EITHER.get(index, {index}) for index in wanted), (name, used, plans)


async def test_an_empty_sweep_reads_no_whole_table_on_either_database(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await filled(store)
        asked = await statements_of(store, an_empty_sweep)
        plans = {statement: await plan_of(store, statement, values) for statement, values in asked}

    assert {name for statement in plans for name in re.findall(r"FROM (gda_\w+)", statement)} >= {
        "gda_occurrences",
        "gda_schedules",
    }
    scans = [line for lines in plans.values() for line in lines if reads_all_of(line)]
    assert scans == []


def reads_all_of(line: str) -> bool:
    """Whether a step of a plan reads every row of a table that grows."""
    big = "(occurrences|schedules|attempts|effects|dead_letters)"
    whole = re.search(rf"Seq Scan on gda_{big}\b|SCAN gda_{big}(?! USING (COVERING )?INDEX ix_)", line)
    return whole is not None


async def an_empty_sweep(store: Store) -> None:
    """A sweep in which Prefect has nothing to say; the ledger's share of each step is the real one."""

    async def no_drain(kind: str, queue: str) -> bool:
        return False

    async def close_runs(store: Store) -> int:
        await store.sweeping.active_runs(timedelta(minutes=5))
        return len(await store.ledger.abandoned_runs())

    async def heed(store: Store) -> int:
        watched = await store.commands.watched(-GRACE)
        return len(watched) + await store.commands.heed_pauses([], [])

    found = await sweep(store, Settings(), Waker("sweep"), ensure_drain=no_drain, close_runs=close_runs, heed=heed)
    assert (found.failures, found.skipped, found.evaluated) == ([], 0, 0)


async def filled(store: Store) -> None:
    """Thousands of users with schedules due later and thousands of settled occurrences, and the planner knows."""
    names = [f"u{number}" for number in range(2000)]
    await store.users.add_many([(name, f"{name}@example.org", "UTC") for name in names])
    await store.schedules.add_many([Wish(name, "digest", "daily 07:30") for name in names], {})
    row = {"kind": "digest", "status": Status.DONE, "woken_by": "schedule"}
    instants = ("due_at", "ready_at", "created_at", "started_at", "finished_at")
    rows = [
        row
        | {"id": f"id{number}", "dedup_key": f"k{number}", "user_id": f"u{number % 2000}", "flow_run_id": f"r{number}"}
        | dict.fromkeys(instants, MORNING - timedelta(minutes=10 + number))
        for number in range(SETTLED)
    ]
    tries = [{"occurrence_id": one["id"], "number": 1, "fence": 1, "owner": "w", "started_at": MORNING} for one in rows]
    mails = [
        {"occurrence_id": one["id"], "step": "send", "state": "confirmed", "fence": 1, "reference": "r", "content": {}}
        | {"intent_at": MORNING, "busy_until": MORNING}
        for one in rows
    ]
    async with store.database.write() as connection:
        await connection.execute(occurrences.insert(), rows)
        await connection.execute(attempts.insert(), tries)
        await connection.execute(effects.insert(), mails)
        await connection.execute(text("ANALYZE"))


async def statements_of(store: Store, ask: Ask) -> list[tuple[str, Any]]:
    """Everything that is asked of the database meanwhile, with parameters."""
    seen: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if "gda_" in statement:
            seen.append((statement, parameters[0] if many else parameters))

    engine = store.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        await ask(store)
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    return seen


async def plan_of(store: Store, statement: str, parameters: Any) -> list[str]:
    """The database's plan, a line per step."""
    async with store.database.read() as connection:
        if store.database.is_sqlite:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return [str(row[3]) for row in rows]
        raw: Any = (await connection.get_raw_connection()).driver_connection
        return [str(row[0]) for row in await raw.fetch(f"EXPLAIN {statement}", *parameters)]
