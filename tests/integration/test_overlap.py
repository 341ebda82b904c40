"""Two slots of one schedule never run at once: the later one waits, or is refused; on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from gda.lifecycle import Claim, Settlement, Status
from gda.outcome import Done, Outcome
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Worker
from gda.store.claims import claim
from gda.why import why_occurrence
from tests.builders import Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

SEVEN = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
HOURLY = {"expression": "0 * * * *", "timezone": "UTC"}
DIGESTS = Scope("digest")
BY_CRON = Waker("schedule")


async def claimed(store: Store, owner: str = "me", **how: bool) -> list[str | None]:
    """Claim what is ready, and return the slots."""
    return [claim.occurrence.slot for claim in await store.ledger.claim(DIGESTS, Worker(owner), limit=10, **how)]


async def running_since_seven(store: Store, clock: VirtualClock) -> Claim:
    """Let the slot of seven o'clock run; it is one hour later now."""
    clock.instant = SEVEN
    await store.ledger.promise(DIGESTS, BY_CRON)
    [claim] = await store.ledger.claim(DIGESTS, Worker("first"), limit=10)
    await store.ledger.start(claim)
    clock.advance(minutes=60)
    await store.ledger.renew(Worker("first"))
    return claim


async def settled(store: Store, claim: Claim) -> None:
    """End the only attempt of ``claim``."""
    await store.ledger.settle(claim, 1, Settlement(Status.DONE, "done"))


async def test_the_next_slot_waits_while_the_one_before_runs_and_is_taken_when_it_has_ended(database_url):
    clock = VirtualClock(SEVEN - timedelta(minutes=30))
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, **HOURLY)
        first = await running_since_seven(store, clock)
        await store.ledger.promise(DIGESTS, BY_CRON)

        assert await claimed(store) == []
        assert await store.ledger.next_ready(DIGESTS) is None
        assert await claimed(store, impatient=True) == []
        [waiting] = await store.history.list(status=Status.SCHEDULED)
        sentence = why_occurrence(await store.history.story(waiting.id), clock.instant)
        assert "waits for slot 2026-03-10T07:00 of its schedule to end" in sentence
        await settled(store, first)
        assert await claimed(store) == ["2026-03-10T08:00"]


async def test_other_schedules_and_extra_occurrences_do_not_wait(database_url):
    clock = VirtualClock(SEVEN - timedelta(minutes=30))
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, **HOURLY)
        await running_since_seven(store, clock)
        await a_user_with_digest(store, "bea", expression="30 8 * * *", timezone="UTC")
        clock.advance(minutes=30)
        await store.ledger.renew(Worker("first"))
        await store.ledger.promise(DIGESTS, BY_CRON)
        await store.ledger.promise_by_hand(Scope("digest", user_id="ada"), ByHand(extra=True), Waker("hand"))
        found = await store.ledger.claim(DIGESTS, Worker("me"), limit=10)

    assert {(claim.occurrence.user_id, claim.occurrence.extra) for claim in found} == {("bea", False), ("ada", True)}


async def test_a_slot_that_may_not_overlap_is_refused_and_names_the_one_that_ran(database_url):
    clock = VirtualClock(SEVEN - timedelta(minutes=30))
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, overlap="skip", **HOURLY)
        first = await running_since_seven(store, clock)
        promised = await store.ledger.promise(DIGESTS, BY_CRON)
        await settled(store, first)
        clock.advance(hours=1)
        await store.ledger.promise(DIGESTS, BY_CRON)
        rows = {row.slot: row for row in await store.history.list()}
        story = await store.history.story(rows["2026-03-10T08:00"].id)

        assert promised.skipped == 1
        assert rows["2026-03-10T09:00"].status is Status.SCHEDULED
    assert rows["2026-03-10T08:00"].reason == "overlap skip: 2026-03-10T07:00 was running"
    assert "skipped" in why_occurrence(story, clock.instant)


async def test_a_wake_up_held_back_until_the_run_before_had_ended_refuses_what_overlapped_all_the_same(database_url):
    clock = VirtualClock(SEVEN - timedelta(minutes=30))
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, overlap="skip", **HOURLY)
        first = await running_since_seven(store, clock)
        clock.advance(minutes=1)
        await settled(store, first)
        clock.advance(minutes=1)
        await store.ledger.promise(DIGESTS, BY_CRON)
        rows = {row.slot: row.status for row in await store.history.list()}

    assert rows["2026-03-10T08:00"] is Status.SKIPPED


async def test_one_wake_up_performs_all_slots_it_catches_up_with_in_order_and_never_two_at_once(
    database_url,
):
    clock = VirtualClock(SEVEN - timedelta(minutes=30))
    body, running, most = Recorder(), 0, 0

    async def perform(job: object) -> Outcome:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await body(job)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        running -= 1
        return Done("")

    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, catch_up="all", **HOURLY)
        clock.instant = SEVEN + timedelta(hours=4)
        desk = Desk(store, a_job_type(perform), Settings(database_url=database_url))  # type: ignore[arg-type]
        call = WakeUp(DIGESTS, Worker("me"), BY_CRON)
        report = await wake(desk, call, lambda claims: settle_alone(desk, claims))

    assert str(report) == "5 done"
    assert body.seen == [f"ada 2026-03-10T{hour:02}:00" for hour in range(7, 12)]
    assert most == 1


async def test_workers_that_meet_at_two_slots_of_a_schedule_take_one(postgres_url):
    clock = VirtualClock(SEVEN - timedelta(minutes=30))
    async with a_store(postgres_url, clock=clock) as store:
        await a_user_with_digest(store, catch_up="all", **HOURLY)
        clock.instant = SEVEN + timedelta(hours=4)
        await store.ledger.promise(DIGESTS, BY_CRON)
        one, other = [Scope("digest", occurrence_ids=(row.id,)) for row in await store.history.list(limit=2)]
        async with store.database.write() as connection:
            lease = timedelta(minutes=1)
            taken = await claim(connection, one, owner="a", flow_run_id=None, now=clock.instant, lease=lease, limit=1)
            second = asyncio.create_task(store.ledger.claim(other, Worker("b"), limit=1))
            await somebody_waits_for_a_lock(store)
        assert (len(taken), await second) == (1, [])


async def somebody_waits_for_a_lock(store: Store) -> None:
    """Return once a transaction waits for another's end."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(20):
        while True:
            async with store.database.read() as connection:
                if await connection.scalar(waiting):
                    return
