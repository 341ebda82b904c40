"""What a worker dies under: nobody pays for a neighbour's crash, and who crashes alone is stopped."""

from gda.job import Job, JobType
from gda.lifecycle import Claim, Status
from gda.outcome import Done, Outcome
from gda.retry import RetryPolicy
from gda.runner import Desk, WakeUp, attempt, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Worker
from gda.store.recovery import LATE
from tests.builders import MORNING, Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

ALL = Scope("digest")
PEOPLE = ("ada", "bruno", "chiara")


async def due(store: Store, clock: VirtualClock) -> None:
    """Everybody's weekly digest, due and promised."""
    for name in PEOPLE:
        await a_user_with_digest(store, name, expression="weekly tue 07:30")
    clock.advance(hours=2)
    await store.ledger.promise(ALL, Waker("drain"))


async def die_after_starting(store: Store, claims: list[Claim]) -> None:
    """What a SIGKILL leaves behind: attempts without an end, and leases that nobody renews."""
    for claim in claims:
        await store.ledger.start(claim)


async def woken(store: Store, body: Recorder, run: str) -> str:
    desk = Desk(store, a_job_type(body), Settings(early_seconds=0))
    call = WakeUp(ALL, Worker(run), Waker("drain"))
    return str(await wake(desk, call, lambda claim: settle_alone(desk, claim)))


async def test_a_claim_that_was_not_started_goes_back_as_if_nobody_had_taken_it(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await due(store, clock)
        await store.ledger.claim(ALL, Worker("gone"), limit=10)
        clock.advance(seconds=61)
        freed = await store.ledger.recover()
        rows = await store.history.list()

    assert freed == 3
    assert {(row.status, row.suspect, row.burnt) for row in rows} == {(Status.SCHEDULED, False, 0)}


async def test_what_ran_when_its_worker_died_runs_next_alone_and_has_burnt_nothing(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await due(store, clock)
        await die_after_starting(store, await store.ledger.claim(ALL, Worker("gone"), limit=10))
        clock.advance(seconds=61)
        in_company = await store.ledger.claim(ALL, Worker("next"), limit=10)
        alone = await store.ledger.claim(ALL, Worker("next"), limit=1, suspects=True)
        rows = {row.user_id: row for row in await store.history.list()}

    assert in_company == []
    assert [claim.alone for claim in alone] == [True]
    assert {row.burnt for row in rows.values()} == {0}
    assert sorted(row.status for row in rows.values()) == [Status.RETRYING, Status.RETRYING, Status.RUNNING]


async def test_a_second_death_alone_is_poison_and_the_others_are_delivered(database_url):
    clock, body = VirtualClock(MORNING), Recorder([Done()])
    async with a_store(database_url, clock=clock) as store:
        await due(store, clock)
        await die_after_starting(store, await store.ledger.claim(ALL, Worker("first"), limit=10))
        clock.advance(seconds=61)
        [culprit] = await store.ledger.claim(ALL, Worker("second"), limit=1, suspects=True)
        await die_after_starting(store, [culprit])
        clock.advance(seconds=61)
        report = await woken(store, body, "third")
        story = await store.history.story(culprit.occurrence.id)

    assert report == "2 done"
    assert (story.occurrence.status, story.dead_reason, story.occurrence.burnt) == (Status.DEAD, "poison", 0)
    assert [attempt.outcome for attempt in story.attempts] == ["lost", "lost"]
    assert len(body.seen) == 2


async def test_a_suspect_that_ends_well_is_one_no_more(database_url):
    clock, body = VirtualClock(MORNING), Recorder([Done()])
    async with a_store(database_url, clock=clock) as store:
        await due(store, clock)
        await die_after_starting(store, await store.ledger.claim(ALL, Worker("gone"), limit=10))
        clock.advance(seconds=61)
        report = await woken(store, body, "next")
        rows = await store.history.list()

    assert report == "3 done"
    assert {row.suspect for row in rows} == {False}


async def test_a_job_that_tries_to_end_the_process_is_poison_at_once_and_ends_nobody(database_url):
    clock, body = VirtualClock(MORNING), Recorder([SystemExit(3), Done()])
    async with a_store(database_url, clock=clock) as store:
        await due(store, clock)
        report = await woken(store, body, "run-1")
        [dead] = [row for row in await store.history.list() if row.status is Status.DEAD]
        story = await store.history.story(dead.id)

    assert report == "1 dead; 2 done"
    assert story.dead_reason == "poison"
    assert "SystemExit" in story.occurrence.reason


async def test_who_comes_back_after_its_lease_is_refused_and_that_stands_beside_its_attempt(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await due(store, clock)

        async def stand_still(job: Job) -> Outcome:
            clock.advance(seconds=61)
            await store.ledger.recover()
            return Done()

        desk = Desk(store, JobType("digest", stand_still, RetryPolicy()), Settings(early_seconds=0))
        [claim] = await store.ledger.claim(ALL, Worker("late"), limit=1)
        _, settlement = await attempt(desk, claim, may_retry_here=False)
        story = await store.history.story(claim.occurrence.id)

    assert settlement is None
    assert (story.occurrence.status, story.occurrence.suspect) == (Status.RETRYING, True)
    assert [(each.outcome, each.message) for each in story.attempts] == [("lost", LATE)]
