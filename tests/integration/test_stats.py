"""Figures per kind: counts, attempts and percentiles by nearest rank, the same on both databases."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from gda.lifecycle import Status
from gda.store import Store
from gda.store.stats import KindStats, Percentiles
from gda.store.tables import attempts, occurrences
from tests.builders import MORNING, VirtualClock, a_store


def a_row(number: int, due_at: datetime, late: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "kind": "digest",
        "dedup_key": f"key-{number}",
        "due_at": due_at,
        "ready_at": due_at,
        "status": Status.DONE,
        "woken_by": "schedule",
        "created_at": due_at,
        "started_at": None if late is None else due_at + timedelta(seconds=late),
        **changes,
    }


def a_try(row: dict[str, Any], seconds: float | None, number: int = 1) -> dict[str, Any]:
    started = row["started_at"]
    ended = None if seconds is None else started + timedelta(seconds=seconds)
    return {
        "occurrence_id": row["id"],
        "number": number,
        "fence": 1,
        "owner": "w",
        "started_at": started,
        "ended_at": ended,
    }


async def written(store: Store, rows: list[dict[str, Any]], tries: list[dict[str, Any]]) -> None:
    async with store.database.write() as connection:
        await connection.execute(insert(occurrences), rows)
        if tries:
            await connection.execute(insert(attempts), tries)


async def test_each_kind_has_its_counts_attempts_and_percentiles(database_url):
    due = MORNING - timedelta(hours=2)
    digests = [a_row(number, due, late=number / 10) for number in range(1, 201)]
    waiting = a_row(300, due, late=None, status=Status.SCHEDULED)
    invoice = a_row(400, due, late=1.5, kind="invoice", status=Status.DEAD)
    tries = [a_try(row, seconds=number) for number, row in enumerate(digests, 1)]
    running = a_try(invoice, seconds=None)
    async with a_store(database_url, clock=VirtualClock()) as store:
        await written(store, [*digests, waiting, invoice], [*tries, running])
        found = await store.stats.kinds()
        only = await store.stats.kinds(kind="invoice")

    of_invoices = KindStats(
        "invoice", {Status.DEAD: 1}, attempts=1, duration=None, lateness=Percentiles(1, 1.5, 1.5, 1.5)
    )
    assert [one.kind for one in found] == ["digest", "invoice"]
    assert found[0].counts == {Status.DONE: 200, Status.SCHEDULED: 1}
    assert found[0].attempts == 200
    assert found[0].duration == Percentiles(200, 100, 190, 198)
    assert found[0].lateness == Percentiles(200, 10, 19, 19.8)
    assert found[1:] == only == [of_invoices]


async def test_what_was_due_and_tried_before_the_window_is_left_out(database_url):
    old = a_row(1, MORNING - timedelta(hours=25), late=1)
    new = a_row(2, MORNING - timedelta(hours=23), late=2)
    again = a_try({**old, "started_at": MORNING - timedelta(hours=1)}, seconds=9, number=2)
    async with a_store(database_url, clock=VirtualClock()) as store:
        await written(store, [old, new], [a_try(old, 3), a_try(new, 4), again])
        [day] = await store.stats.kinds()
        [week] = await store.stats.kinds(since=timedelta(days=7))

    assert (day.counts, day.attempts, day.lateness) == ({Status.DONE: 1}, 2, Percentiles(1, 2, 2, 2))
    assert (week.counts, week.attempts, week.duration) == ({Status.DONE: 2}, 3, Percentiles(3, 4, 9, 9))


async def test_of_nothing_there_are_no_figures(database_url):
    async with a_store(database_url, clock=VirtualClock()) as store:
        assert await store.stats.kinds() == []
