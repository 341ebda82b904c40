"""What fails is tried again: at once inside the run, then later by the ledger; every try leaves its row."""

import asyncio
from datetime import timedelta

from gda.errors import Transient
from gda.lifecycle import Status
from gda.outcome import Done, Retry, Snooze
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Story, Waker, Worker
from tests.builders import MORNING, Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

ADA = Scope("digest", user_id="ada")
IN_RUN, BY_LEDGER_ALONE = 2, 0


class Longest:
    """Chance at its worst: every backoff takes its whole bound."""

    def random(self) -> float:
        """The upper end."""
        return 1.0


def a_desk(store: Store, body: Recorder, in_run_retries: int, **settings: int) -> Desk:
    # Early margin 0: a wake-up ends instead of waiting for what becomes ready soon.
    chosen = Settings(early_seconds=0, **settings)
    return Desk(store, a_job_type(body, in_run_retries=in_run_retries), chosen, Longest())  # type: ignore[arg-type]


async def woken(desk: Desk, run: str = "run-1") -> str:
    return str(await wake(desk, WakeUp(ADA, Worker(run), Waker("drain")), lambda claim: settle_alone(desk, claim)))


async def owed(store: Store) -> None:
    await a_user_with_digest(store, expression="daily 07:30")
    await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))


async def the_story(store: Store) -> Story:
    [occurrence] = await store.history.list()
    return await store.history.story(occurrence.id)


async def test_inside_a_run_a_failure_is_tried_again_under_the_same_lease(tmp_path):
    body = Recorder([Transient("503"), Transient("502"), Done("3 messages")])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store)

        report = await woken(a_desk(store, body, IN_RUN))
        story = await the_story(store)

    assert report == "1 done"
    assert [(each.number, each.outcome, each.message) for each in story.attempts] == [
        (1, "failed", "503"),
        (2, "failed", "502"),
        (3, "done", "3 messages"),
    ]
    assert (story.occurrence.fence, story.occurrence.burnt) == (1, 2)


async def test_after_the_tries_inside_a_run_the_ledger_takes_over_and_releases_the_lease(tmp_path):
    body = Recorder([Transient("503")])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store)

        report = await woken(a_desk(store, body, IN_RUN))
        story = await the_story(store)

    assert report == "1 retrying"
    assert len(story.attempts) == 3
    assert story.occurrence.status is Status.RETRYING
    # Three attempts are burnt: 30 s doubled twice.
    assert story.occurrence.ready_at == MORNING + timedelta(seconds=120)


async def test_the_wait_doubles_and_nothing_is_tried_before_it_is_over(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder([Transient("503")])
    waits = []
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await owed(store)
        desk = a_desk(store, body, BY_LEDGER_ALONE)
        for run in range(4):
            await woken(desk, f"run-{run}")
            [waiting] = await store.history.list()
            waits.append((waiting.ready_at - clock.instant).total_seconds())
            clock.instant = waiting.ready_at - timedelta(seconds=1)
            too_early = await woken(desk, f"early-{run}")
            clock.instant = waiting.ready_at

    assert waits == [30, 60, 120, 240]
    assert too_early.startswith("nothing due; slot 2026-03-09T07:30 waits")
    assert len(body.seen) == 4


async def test_a_provider_that_names_a_time_is_not_asked_again_inside_the_run_nor_before_that_time(tmp_path):
    body = Recorder([Retry("429", after=timedelta(minutes=20))])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store)

        await woken(a_desk(store, body, IN_RUN))
        story = await the_story(store)

    assert len(story.attempts) == 1
    assert story.occurrence.ready_at >= MORNING + timedelta(minutes=20)


async def test_an_error_of_an_unknown_library_is_retried_and_its_text_is_not_kept(tmp_path):
    body = Recorder([ValueError("Dear Ada, your PIN is 1234"), Done()])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store)

        await woken(a_desk(store, body, IN_RUN))
        story = await the_story(store)

    assert [each.outcome for each in story.attempts] == ["failed", "done"]
    assert story.attempts[0].error_class == "builtins.ValueError"
    assert "1234" not in repr(story)


async def test_a_snooze_is_an_attempt_that_burns_nothing(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder([Snooze(MORNING + timedelta(minutes=5), "in doubt"), Done()])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await owed(store)
        desk = a_desk(store, body, IN_RUN)

        snoozed = await woken(desk)
        clock.advance(minutes=5)
        done = await woken(desk, "run-2")
        story = await the_story(store)

    assert (snoozed, done) == ("1 retrying", "1 done")
    assert [each.outcome for each in story.attempts] == ["snoozed", "done"]
    assert story.occurrence.burnt == 0


async def test_an_attempt_that_takes_too_long_is_stopped_and_tried_again(tmp_path):
    async def endless(job):
        await asyncio.Event().wait()

    async with a_store(
        f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING), timeout_seconds=1
    ) as store:
        await owed(store)
        report = await woken(a_desk(store, endless, BY_LEDGER_ALONE))
        story = await the_story(store)

    assert report == "1 retrying"
    assert (story.attempts[0].outcome, story.attempts[0].error_class) == ("failed", "builtins.TimeoutError")
    assert story.occurrence.reason == "the attempt took longer than 1 s"
