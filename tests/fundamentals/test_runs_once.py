"""A slot is promised once, performed once and settled once, whoever wakes GDA and however often."""

import asyncio
from datetime import timedelta

from gda.lifecycle import Status
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.builders import MORNING, Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

ADA = Scope("digest", user_id="ada")


def a_desk(store: Store, body: Recorder) -> Desk:
    return Desk(store, a_job_type(body), Settings())


async def woken(desk: Desk, *, by_hand: ByHand | None = None, run: str = "run-1") -> str:
    call = WakeUp(ADA, Worker(run), Waker("hand" if by_hand else "schedule"), by_hand)
    return str(await wake(desk, call, lambda claim: settle_alone(desk, claim)))


async def test_a_wake_up_at_the_due_time_performs_the_slot_and_a_second_one_finds_nothing(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder()
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        desk = a_desk(store, body)
        clock.advance(minutes=90)

        first, second = await woken(desk), await woken(desk, run="run-2")

    assert first == "1 done"
    assert second.startswith("nothing due; slot 2026-03-10T07:30 was already settled by")
    assert "woken by schedule: done" in second
    assert body.seen == ["ada 2026-03-10T07:30"]


async def test_a_wake_up_before_the_due_time_does_nothing(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder()
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")

        report = await woken(a_desk(store, body))

    assert report == "nothing due"
    assert body.seen == []


async def test_a_person_who_asks_twice_gets_one_digest_and_is_told_what_settled_it(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder()
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        desk = a_desk(store, body)

        first = await woken(desk, by_hand=ByHand())
        second = await woken(desk, by_hand=ByHand(), run="run-2")
        [settled] = await store.history.list()

    assert first == "1 done"
    assert f"slot 2026-03-09T07:30 was already settled by occurrence {settled.id}, woken by hand: done" in second
    assert body.seen == ["ada 2026-03-09T07:30"]


async def test_an_extra_one_comes_beside_the_schedule(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder()
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        desk = a_desk(store, body)

        await woken(desk, by_hand=ByHand(extra="request-1"))
        again = await woken(desk, by_hand=ByHand(extra="request-1"), run="run-2")
        clock.advance(minutes=90)
        await woken(desk, run="run-3")

    assert "was already settled" in again
    assert body.seen == ["ada extra", "ada 2026-03-10T07:30"]


async def test_a_worker_that_went_away_is_taken_over_when_its_lease_expires(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder()
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        clock.advance(minutes=90)
        await store.ledger.promise(ADA, Waker("schedule"))
        [gone] = await store.ledger.claim(ADA, Worker("gone"), limit=10)
        await store.ledger.start(gone)

        too_early = await woken(a_desk(store, body))
        clock.advance(seconds=121)
        later = await woken(a_desk(store, body), run="run-2")
        story = await store.history.story(gone.occurrence.id)

    assert too_early.startswith("nothing due; slot 2026-03-10T07:30 is being performed by another worker")
    assert later == "1 done"
    assert story.occurrence.status is Status.DONE
    assert [attempt.outcome for attempt in story.attempts] == ["lost", "done"]
    assert story.attempts[1].started_at - story.attempts[0].started_at >= timedelta(seconds=121)


async def test_a_wake_up_that_comes_early_waits_for_its_slot(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder()
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        clock.advance(minutes=89, seconds=59.5)
        early = asyncio.create_task(woken(a_desk(store, body)))
        await until(lambda: store.history.list())
        before = list(body.seen)
        clock.advance(seconds=1)
        report = await early

    assert before == []
    assert report == "1 done"


async def until(ask):
    """Ask until the answer is true."""
    async with asyncio.timeout(10):
        while not await ask():
            await asyncio.sleep(0.01)
