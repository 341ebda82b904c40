"""Claims for many lanes: each handed out once, taken only as fast as they are performed."""

import asyncio
from datetime import timedelta

import pytest

from gda.feed import Feed
from gda.lifecycle import Claim, Settlement, Status
from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

ALL = Scope("digest")
ME = Worker("me")


async def owed(store: Store, count: int) -> None:
    for number in range(count):
        await a_user_with_digest(store, f"user{number}")
        await store.ledger.promise_by_hand(Scope("digest", user_id=f"user{number}"), ByHand(), Waker("hand"))


async def emptied(feed: Feed) -> list[Claim]:
    claims = []
    while (claim := await feed.next()) is not None:
        claims.append(claim)
    return claims


async def test_many_lanes_get_each_claim_once_and_then_nothing(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store, 10)
        feed = Feed(store.ledger, ALL, ME, 3, impatient=False)

        lanes = await asyncio.gather(*(emptied(feed) for _ in range(4)))
        after = await feed.next()

    users = [claim.occurrence.user_id for lane in lanes for claim in lane]
    assert sorted(users) == [f"user{number}" for number in range(10)]
    assert after is None


async def test_no_more_is_claimed_than_is_asked_for_in_one_go(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store, 5)
        await Feed(store.ledger, ALL, ME, 2, impatient=False).next()
        counts = await store.history.counts()

    assert counts == {Status.RUNNING: 2, Status.SCHEDULED: 3}


async def test_what_comes_back_at_once_waits_for_a_later_wake_up(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store, 1)
        feed = Feed(store.ledger, ALL, ME, 10, impatient=False)
        claim = await feed.next()
        assert claim is not None
        number = await store.ledger.start(claim)
        at_once = Settlement(Status.RETRYING, "snoozed", reason="in doubt", ready_at=MORNING)
        await store.ledger.settle(claim, number, at_once)

        again = await feed.next()
        await store.ledger.hand_back(ME)
        later = await Feed(store.ledger, ALL, Worker("later"), 10, impatient=False).next()

    assert again is None
    assert later is not None


@pytest.mark.parametrize(("impatient", "got"), [(False, 0), (True, 1)])
async def test_only_a_person_gets_what_waits_for_a_later_time(tmp_path, impatient, got):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store, 1)
        [claim] = await store.ledger.claim(ALL, Worker("first"), limit=1)
        number = await store.ledger.start(claim)
        later = Settlement(Status.RETRYING, "failed", burns=True, reason="503", ready_at=MORNING + timedelta(hours=1))
        await store.ledger.settle(claim, number, later)

        claims = await emptied(Feed(store.ledger, ALL, ME, 10, impatient=impatient))

    assert len(claims) == got
