"""A kind that was renamed goes on with what was written under its earlier name: nothing is lost, nothing done twice."""

import asyncio
from datetime import timedelta

import pytest

from gda.declare import job_type
from gda.enqueue import NewJob, OnConflict, Unique, enqueue
from gda.errors import AlreadyExists
from gda.job import JobType
from gda.lifecycle import Settlement, Status
from gda.outcome import Done
from gda.registry import Registry
from gda.renaming import adopt_renamed
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Wish, Worker
from tests.builders import VirtualClock, a_store
from tests.support.wakes import woken


def counting(done: list[str], kind: str, *aliases: str) -> JobType:
    """A kind that writes down which occurrences it performs."""

    async def count(job):
        done.append(f"{job.occurrence.user_id} {job.occurrence.slot}")
        return Done(f"as {kind}")

    return job_type(kind=kind, aliases=aliases)(count)


def known(*job_types: JobType) -> Registry:
    registry = Registry()
    for each in job_types:
        registry.register(each)
    return registry


async def with_schedule(store: Store, kind: str, expression: str = "daily 07:30") -> None:
    """A user with a schedule of the kind."""
    await store.users.add("ada@example.org", timezone="UTC")
    await store.schedules.set(Wish("ada", kind, expression))


async def rows_of(store: Store) -> list[tuple[str, str | None, str, str]]:
    """Kind, slot, status and reason of every occurrence, the newest first."""
    return [(row.kind, row.slot, row.status, row.reason) for row in await store.history.list()]


async def test_a_slot_done_under_the_earlier_name_is_not_done_again_and_the_next_one_is(database_url):
    done, clock = [], VirtualClock()
    renamed = counting(done, "stock-count", "inventory")
    async with a_store(database_url, clock=clock) as store:
        await with_schedule(store, "inventory")
        clock.advance(hours=2)
        await woken(store, counting(done, "inventory"))
        reports = [await woken(store, renamed), await woken(store, renamed, user="ada", by_hand=ByHand())]
        clock.advance(days=1)
        reports.append(await woken(store, renamed))
        rows = await rows_of(store)
        schedules = await store.schedules.all()

    assert done == ["ada 2026-03-10T07:30", "ada 2026-03-11T07:30"]
    assert reports[0] == "nothing due"
    assert reports[1].startswith("slot 2026-03-10T07:30 was already settled by occurrence")
    assert reports[2] == "1 done"
    assert rows == [
        ("stock-count", "2026-03-11T07:30", "done", "as stock-count"),
        ("stock-count", "2026-03-10T07:30", "done", "as inventory"),
    ]
    assert [(one.kind, one.name) for one in schedules] == [("stock-count", "default")]


async def test_what_waits_under_the_earlier_name_is_performed_under_the_present_one(database_url):
    done, clock = [], VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        await with_schedule(store, "inventory")
        await store.ledger.promise_by_hand(Scope("inventory"), ByHand(), Waker("hand"))
        report = await woken(store, counting(done, "stock-count", "stock", "inventory"))
        [row] = await rows_of(store)

    assert (report, done) == ("1 done", ["ada 2026-03-09T07:30"])
    assert row[0] == "stock-count"


async def test_a_worker_that_began_under_the_earlier_name_settles_what_it_holds(database_url):
    done, clock = [], VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        await with_schedule(store, "inventory")
        await store.ledger.promise_by_hand(Scope("inventory"), ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(Scope("inventory"), Worker("old"), limit=1)
        number = await store.ledger.start(claim)
        report = await woken(store, counting(done, "stock-count", "inventory"))
        await store.ledger.settle(claim, number, Settlement(Status.DONE, "done", reason="by the old one"))
        rows = await rows_of(store)

    assert (report, done) == ("nothing due", [])
    assert rows == [("stock-count", "2026-03-09T07:30", "done", "by the old one")]


async def test_however_many_of_the_new_release_wake_at_once_each_slot_is_done_once(database_url):
    done, users = [], [f"u{number}" for number in range(40)]
    async with a_store(database_url, clock=VirtualClock()) as store:
        await store.users.add_many([(user, f"{user}@example.org", "UTC") for user in users])
        await store.schedules.add_many([Wish(user, "inventory", "daily 07:30") for user in users], {})
        await store.ledger.promise_by_hand(Scope("inventory"), ByHand(), Waker("hand"))
        wakes = [counting(done, "stock-count", "inventory"), counting(done, "inventory")] * 3
        await asyncio.gather(*(woken(store, kind, owner=f"w{n}") for n, kind in enumerate(wakes)))
        await woken(store, wakes[0])
        rows = await rows_of(store)

    assert sorted(done) == sorted(f"{user} 2026-03-09T07:30" for user in users)
    assert {(row[0], row[2]) for row in rows} == {("stock-count", "done")}
    assert len(rows) == len(users)


@pytest.mark.parametrize("begun", [True, False], ids=["done-under-the-earlier-name", "waiting-under-both"])
async def test_where_two_releases_at_work_made_one_slot_twice_it_is_done_once(database_url, begun):
    done, clock = [], VirtualClock()
    old, new = counting(done, "inventory"), counting(done, "stock-count", "inventory")
    async with a_store(database_url, clock=clock) as store:
        await with_schedule(store, "stock-count")
        await store.ledger.promise_by_hand(Scope("stock-count"), ByHand(), Waker("hand"))
        await store.schedules.set(Wish("ada", "inventory", "daily 07:30"))
        await store.ledger.promise_by_hand(Scope("inventory"), ByHand(), Waker("hand"))
        if begun:
            await woken(store, old)
        for _ in range(2):
            await woken(store, new)
        rows = await rows_of(store)
        schedules = await store.schedules.all()

    assert done == ["ada 2026-03-09T07:30"]
    assert sorted((kind, status) for kind, _, status, _ in rows) == [
        ("stock-count", "done"),
        ("stock-count", "skipped"),
    ]
    assert [one.kind for one in schedules] == ["stock-count"]


async def test_a_unique_key_taken_under_the_earlier_name_is_taken(database_url):
    done, settings = [], Settings()
    old, new = counting(done, "inventory"), counting(done, "stock-count", "inventory")
    job = {"unique": Unique("shelf-7")}
    async with a_store(database_url, clock=VirtualClock()) as store:
        await enqueue(store.queue, known(old), settings, NewJob("inventory", **job))
        with pytest.raises(AlreadyExists, match="'shelf-7' of kind stock-count is taken"):
            await enqueue(store.queue, known(new), settings, NewJob("stock-count", **job))
        kept = NewJob("inventory", unique=Unique("shelf-7", OnConflict.KEEP))
        answer = await enqueue(store.queue, known(new), settings, kept)
        await woken(store, new)
        rows = await rows_of(store)

    assert answer.what == "kept"
    assert (len(done), [row[0] for row in rows]) == (1, ["stock-count"])


async def test_all_that_is_stored_under_earlier_names_is_written_over_and_foreign_kinds_are_left(database_url):
    done, clock = [], VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        await with_schedule(store, "inventory")
        await store.schedules.set(Wish("ada", "somebody-elses", "daily 08:30"))
        registry = known(counting(done, "stock-count", "inventory"), counting(done, "other"))
        before = await store.renames.stored()
        adopted = [await adopt_renamed(store, registry) for _ in range(2)]
        after = await store.renames.stored()

    assert before == {"inventory", "somebody-elses"}
    assert adopted == [[("inventory", "stock-count")], []]
    assert after == {"stock-count", "somebody-elses"}


async def test_a_renamed_schedule_keeps_its_revision_and_its_next_slot(database_url):
    clock = VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        await with_schedule(store, "inventory")
        [before] = await store.schedules.all()
        await store.renames.adopt("stock-count", ["inventory"])
        clock.advance(minutes=1)
        await store.schedules.set(Wish("ada", "stock-count", "daily 09:30"))
        [after] = await store.schedules.all()

    assert (before.id, before.revision) == (after.id, after.revision - 1)
    assert after.next_due_at - before.next_due_at == timedelta(hours=2)
