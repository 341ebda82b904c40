"""Enqueued work and its unique keys, on SQLite and PostgreSQL alike."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gda.errors import AlreadyExists, UnknownUser
from gda.lifecycle import Settlement, Status
from gda.store import Scope, Store, Waker, Worker
from gda.store.queue import Item, OnConflict, Unique
from tests.builders import MORNING, VirtualClock, a_store

HAND = Waker("hand")
JOB = Item("note", {"n": 1}, None, "default", 0, 300, 10)


def keyed(on_conflict: OnConflict, period: timedelta | None = None, **values: object) -> Item:
    return replace(JOB, unique=Unique("k", on_conflict, period=period), **values)


async def count(store: Store) -> int:
    return len(await store.history.list(limit=1000))


async def test_higher_priority_is_claimed_first_and_nothing_before_its_time(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        items = [JOB, replace(JOB, priority=5, payload={"n": 2}), replace(JOB, delay=timedelta(seconds=10))]
        added = await store.queue.add(items, HAND)
        first = await store.ledger.claim(Scope("note"), Worker("w"), limit=10)
        clock.instant += timedelta(seconds=10)
        later = await store.ledger.claim(Scope("note"), Worker("w"), limit=10)
    assert [one.occurrence.id for one in first] == [added[1].occurrence_id, added[0].occurrence_id]
    assert [one.occurrence.id for one in later] == [added[2].occurrence_id]


async def test_a_taken_key_rejects_the_whole_batch(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        queue = store.queue
        await queue.add([keyed(OnConflict.REJECT)], HAND)
        with pytest.raises(AlreadyExists, match="unique key 'k' of kind note is taken"):
            await queue.add([JOB, keyed(OnConflict.REJECT)], HAND)
        assert await count(store) == 1


async def test_a_taken_key_keeps_or_replaces_what_waits(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        queue = store.queue
        [first] = await queue.add([keyed(OnConflict.REJECT)], HAND)
        [kept] = await queue.add([keyed(OnConflict.KEEP, payload={"n": 2})], HAND)
        after_keep = (await store.ledger.get(first.occurrence_id)).payload
        [replaced] = await queue.add([keyed(OnConflict.REPLACE, payload={"n": 3})], HAND)
        after_replace = (await store.ledger.get(first.occurrence_id)).payload
        assert await count(store) == 1
    assert (kept.occurrence_id, kept.what, after_keep) == (first.occurrence_id, "kept", {"n": 1})
    assert (replaced.occurrence_id, replaced.what, after_replace) == (first.occurrence_id, "replaced", {"n": 3})


async def test_a_key_is_free_again_once_its_occurrence_is_done_or_its_period_is_over(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        queue = store.queue
        await queue.add([keyed(OnConflict.REJECT)], HAND)
        [claim] = await store.ledger.claim(Scope("note"), Worker("w"), limit=1)
        await store.ledger.settle(claim, await store.ledger.start(claim), Settlement(Status.DONE, "done"))
        [second] = await queue.add([keyed(OnConflict.REJECT, period=timedelta(minutes=5))], HAND)
        clock.instant += timedelta(minutes=6)
        [third] = await queue.add([keyed(OnConflict.REJECT)], HAND)
    assert second.what == third.what == "new"


async def test_a_key_belongs_to_its_user(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        for name in ("ada", "bruno"):
            await store.users.add(f"{name}@example.org", timezone="UTC")
        items = [keyed(OnConflict.REJECT, user_id=user) for user in (None, "ada", "bruno")]
        assert {one.what for one in await store.queue.add(items, HAND)} == {"new"}


async def test_of_many_who_enqueue_one_key_at_once_one_wins(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        queue = store.queue
        results = await asyncio.gather(*(queue.add([keyed(OnConflict.KEEP)], HAND) for _ in range(10)))
        assert await count(store) == 1
    assert len({one.occurrence_id for [one] in results}) == 1
    assert sum(one.what == "new" for [one] in results) == 1


async def test_nothing_is_enqueued_for_somebody_who_does_not_exist(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await store.users.add("ada@example.org", timezone="UTC")
        with pytest.raises(UnknownUser, match="user 'nobody' does not exist"):
            await store.queue.add([replace(JOB, user_id=user) for user in ("ada", "nobody")], HAND)
        assert await count(store) == 0


async def test_a_dry_run_answers_as_the_real_one_would_and_leaves_nothing(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        dry = await store.queue.add([JOB, keyed(OnConflict.KEEP)], HAND, dry_run=True)
        left = await count(store)
        real = await store.queue.add([keyed(OnConflict.KEEP)], HAND)
        again = await store.queue.add([keyed(OnConflict.KEEP)], HAND, dry_run=True)
    assert [one.what for one in dry + real + again] == ["new", "new", "new", "kept"]
    assert left == 0
