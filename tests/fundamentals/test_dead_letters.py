"""What cannot be helped ends in an inbox for people: once, with its reason, and the neighbours go on."""

from datetime import timedelta

import pytest

from gda.errors import Permanent, Transient
from gda.lifecycle import Status
from gda.outcome import Done, Fail, Hold
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Story, Waker, Worker
from tests.builders import MORNING, Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

ADA = Scope("digest", user_id="ada")
ALL = Scope("digest")


def a_desk(store: Store, body: Recorder) -> Desk:
    # Early margin 0: a wake-up ends instead of waiting for what becomes ready soon.
    return Desk(store, a_job_type(body, in_run_retries=0), Settings(early_seconds=0))


async def woken(desk: Desk, scope: Scope = ADA, *, by_hand: ByHand | None = None, run: str = "run-1") -> str:
    call = WakeUp(scope, Worker(run), Waker("drain"), by_hand)
    return str(await wake(desk, call, lambda claim: settle_alone(desk, claim)))


async def owed(store: Store, user: str = "ada") -> None:
    # Weekly, so that no new slot becomes due while the old one is tried again and again.
    await a_user_with_digest(store, user, expression="weekly mon 07:30")
    await store.ledger.promise_by_hand(Scope("digest", user_id=user), ByHand(), Waker("hand"))


async def the_story(store: Store) -> Story:
    [occurrence] = await store.history.list(user_id="ada")
    return await store.history.story(occurrence.id)


async def woken_until_settled(desk: Desk, clock: VirtualClock) -> list[str]:
    """Wake whenever the occurrence is ready again, until it is settled."""
    reports = []
    while (occurrence := (await the_story(desk.store)).occurrence).finished_at is None:
        clock.instant = max(clock.instant, occurrence.ready_at)
        reports.append(await woken(desk, run=f"run-{len(reports)}"))
    return reports


async def test_ten_failures_make_a_dead_letter_and_no_eleventh_attempt(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder([Transient("503")])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await owed(store)
        desk = a_desk(store, body)

        reports = await woken_until_settled(desk, clock)
        story = await the_story(store)
        clock.advance(hours=2)
        afterwards = await woken(desk, run="later")

    assert reports == ["1 retrying"] * 9 + ["1 dead"]
    assert story.occurrence.status is Status.DEAD
    assert story.dead_reason == "attempts"
    assert story.occurrence.reason == "503 (attempt 10 of 10)"
    assert [attempt.number for attempt in story.attempts] == list(range(1, 11))
    assert {attempt.outcome for attempt in story.attempts} == {"failed"}
    assert afterwards.startswith("nothing due; slot 2026-03-09T07:30 was already settled")
    assert afterwards.endswith("use replay to try it again")
    assert body.seen == ["ada 2026-03-09T07:30"] * 10


@pytest.mark.parametrize("refusal", [Permanent("smtp DATA: 550"), Fail("smtp DATA: 550")])
async def test_what_trying_again_cannot_help_is_dead_at_once(tmp_path, refusal):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store)

        report = await woken(a_desk(store, Recorder([refusal])))
        story = await the_story(store)

    assert report == "1 dead"
    assert (story.dead_reason, len(story.attempts)) == ("permanent", 1)
    assert (story.occurrence.reason, story.occurrence.finished_at) == ("smtp DATA: 550", MORNING)


async def test_no_attempt_is_planned_for_after_the_next_slot(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder([Transient("429", timedelta(hours=30))])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await owed(store)

        report = await woken(a_desk(store, body))
        story = await the_story(store)

    assert report == "1 dead"
    assert story.dead_reason == "age"
    assert "no attempt is left before" in story.occurrence.reason


async def test_a_person_who_asks_for_a_dead_one_is_told_and_nothing_is_tried(tmp_path):
    body = Recorder([Permanent("550")])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await owed(store)
        desk = a_desk(store, body)
        await woken(desk)

        told = await woken(desk, by_hand=ByHand(), run="run-2")

    assert told.endswith("dead at 2026-03-10T06:00:00Z (550); use replay to try it again")
    assert len(body.seen) == 1


async def test_one_users_death_is_not_the_neighbours(tmp_path):
    async def body(job):
        if job.occurrence.user_id == "ada":
            raise Permanent("550")
        return Done("1 message")

    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        for user in ("ada", "bruno", "chiara"):
            await owed(store, user)
        report = await woken(a_desk(store, body), ALL)

    assert report == "1 dead; 2 done"


async def test_what_waits_for_a_cause_is_held_and_not_dead(tmp_path):
    clock, body = VirtualClock(MORNING), Recorder([Hold("consent:google")])
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await owed(store)
        desk = a_desk(store, body)

        held = await woken(desk)
        clock.advance(minutes=30)
        later = await woken(desk, run="run-2")
        story = await the_story(store)

    assert held == "1 held"
    assert later.startswith("nothing due; slot 2026-03-09T07:30 is held")
    assert (story.occurrence.status, story.occurrence.burnt, story.dead_reason) == (Status.HELD, 0, None)
