"""The ledger's verbs on SQLite and PostgreSQL alike."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gda.errors import ClaimLost, InvalidSchedule, UnknownOccurrence, UsageError
from gda.lifecycle import DeadReason, Settlement, Status
from gda.store import ByHand, Scope, Waker, Wish, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

ALL = Scope("digest")
ADA = Scope("digest", user_id="ada")
DONE = Settlement(Status.DONE, "done", reason="3 messages")


async def test_a_promise_is_made_once_and_moves_the_schedule_on(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        clock.advance(minutes=89)

        promised = await store.ledger.promise(ADA, Waker("schedule", "run-1"))
        again = await store.ledger.promise(ADA, Waker("schedule", "run-2"))
        [schedule] = await store.schedules.all()
        [occurrence] = await store.history.list()

    assert (len(promised.scheduled), len(again.scheduled)) == (1, 0)
    assert schedule.next_due_at == datetime(2026, 3, 11, 7, 30, tzinfo=UTC)
    assert occurrence.slot == "2026-03-10T07:30"
    assert occurrence.due_at == datetime(2026, 3, 10, 7, 30, tzinfo=UTC)
    assert occurrence.expires_at == datetime(2026, 3, 11, 7, 30, tzinfo=UTC)


async def test_two_wake_ups_at_once_promise_each_slot_once(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        for number in range(20):
            await a_user_with_digest(store, f"user{number}", expression="daily 07:30")
        clock.advance(hours=2)

        answers = await asyncio.gather(*(store.ledger.promise(ALL, Waker("schedule")) for _ in range(6)))
        rows = await store.history.list(limit=100)

    assert sum(len(answer.scheduled) for answer in answers) == 20
    assert len(rows) == 20


async def test_after_an_outage_the_latest_slot_is_scheduled_and_the_earlier_ones_leave_rows_with_reasons(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, expression="0 8,10,12 * * *", timezone="UTC")
        clock.advance(hours=7)

        await store.ledger.promise(ADA, Waker("drain"))
        rows = await store.history.list()

    assert {row.slot: row.status for row in rows} == {
        "2026-03-10T08:00": Status.SKIPPED,
        "2026-03-10T10:00": Status.SKIPPED,
        "2026-03-10T12:00": Status.SCHEDULED,
    }
    assert all("catch-up" in row.reason for row in rows if row.status is Status.SKIPPED)


async def test_a_schedule_that_no_longer_parses_is_marked_and_stops_nobody(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, "ada", expression="daily 07:30")
        await a_user_with_digest(store, "bruno", expression="daily 07:30")
        async with store.database.write() as connection:
            await connection.execute(
                text("UPDATE gda_schedules SET expression = 'when I feel like it' WHERE user_id = 'ada'")
            )
        clock.advance(hours=2)

        promised = await store.ledger.promise(ALL, Waker("drain"))
        broken, _ = await store.schedules.all()

    assert len(promised.scheduled) == 1
    assert len(promised.problems) == 1
    assert "when I feel like it" in broken.problem


async def test_an_occurrence_is_claimed_by_one_of_many(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        for number in range(60):
            await a_user_with_digest(store, f"user{number}")
            await store.ledger.promise_by_hand(Scope("digest", user_id=f"user{number}"), ByHand(), Waker("hand"))

        batches = await asyncio.gather(*(store.ledger.claim(ALL, Worker(f"w{n}"), limit=9) for n in range(8)))
        claims = [claim for batch in batches for claim in batch]

    assert len(claims) == 60
    assert len({claim.occurrence.id for claim in claims}) == 60
    assert {claim.fence for claim in claims} == {1}


async def test_a_late_writer_is_refused_and_writes_nothing(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        [late] = await store.ledger.claim(ADA, Worker("late"), limit=1)
        number = await store.ledger.start(late)
        clock.advance(seconds=121)
        [taker] = await store.ledger.claim(ADA, Worker("taker"), limit=1, suspects=True)

        with pytest.raises(ClaimLost):
            await store.ledger.settle(late, number, DONE)
        with pytest.raises(ClaimLost):
            await store.ledger.check(late)
        with pytest.raises(ClaimLost):
            await store.ledger.start(late)
        await store.ledger.check(taker)
        occurrence = await store.ledger.get(late.occurrence.id)

    assert taker.fence == late.fence + 1
    assert occurrence.status is Status.RUNNING


async def test_a_renewed_lease_is_not_taken_over(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        await store.ledger.claim(ADA, Worker("busy"), limit=1)
        clock.advance(seconds=50)
        renewed = await store.ledger.renew(Worker("busy"))
        clock.advance(seconds=50)

        taken = await store.ledger.claim(ADA, Worker("taker"), limit=1)

    assert renewed == 1
    assert taken == []


async def test_what_a_stopping_worker_hands_back_is_claimable_at_once_and_unburnt(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(ADA, Worker("stopping"), limit=1)
        await store.ledger.start(claim)

        handed_back = await store.ledger.hand_back(Worker("stopping"))
        [again] = await store.ledger.claim(ADA, Worker("next"), limit=1)
        story = await store.history.story(claim.occurrence.id)

    assert handed_back == 1
    assert again.occurrence.burnt == 0
    assert [attempt.outcome for attempt in story.attempts] == ["interrupted"]


async def test_a_death_and_its_dead_letter_are_written_together(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(ADA, Worker("w"), limit=1)
        number = await store.ledger.start(claim)
        died = Settlement(Status.DEAD, "failed", burns=True, reason="no", dead_reason=DeadReason.PERMANENT)

        await store.ledger.settle(claim, number, died)
        story = await store.history.story(claim.occurrence.id)

    assert story.occurrence.status is Status.DEAD
    assert story.occurrence.finished_at == MORNING
    assert story.dead_reason == "permanent"


async def test_what_waits_for_another_attempt_is_neither_claimed_nor_slept_for_but_a_person_may_have_it_now(
    database_url,
):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(ADA, Worker("w"), limit=1)
        number = await store.ledger.start(claim)
        later = Settlement(Status.RETRYING, "failed", burns=True, reason="503", ready_at=MORNING + timedelta(minutes=5))
        await store.ledger.settle(claim, number, later)

        patient = await store.ledger.claim(ADA, Worker("w2"), limit=1)
        ready = await store.ledger.next_ready(ADA)
        impatient = await store.ledger.claim(ADA, Worker("w3"), limit=1, impatient=True)

    assert patient == []
    assert ready is None
    assert [c.occurrence.burnt for c in impatient] == [1]


async def test_a_named_slot_must_be_one_of_the_schedule_and_not_lie_ahead(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store, expression="daily 07:30")

        [named] = await store.ledger.promise_by_hand(ADA, ByHand(at="2026-03-08T07:30"), Waker("hand"))
        with pytest.raises(InvalidSchedule, match="2026-03-08T08:00 is not a slot of"):
            await store.ledger.promise_by_hand(ADA, ByHand(at="2026-03-08T08:00"), Waker("hand"))
        with pytest.raises(InvalidSchedule, match="not due before 2026-03-10T07:30Z"):
            await store.ledger.promise_by_hand(ADA, ByHand(at="2026-03-10T07:30"), Waker("hand"))
        with pytest.raises(UsageError, match="there is no schedule for digest of bruno"):
            await store.ledger.promise_by_hand(Scope("digest", user_id="bruno"), ByHand(), Waker("hand"))
        with pytest.raises(UnknownOccurrence):
            await store.ledger.get("nothing")

    assert named.occurrence.slot == "2026-03-08T07:30"


async def test_an_edit_promises_what_is_owed_and_fires_nothing_past(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30", timezone="UTC")
        clock.advance(hours=2)

        edited = await store.schedules.set(Wish("ada", "digest", "daily 07:45"))
        await store.ledger.promise(ADA, Waker("drain"))
        owed = await store.history.list()

    assert [row.slot for row in owed] == ["2026-03-10T07:30"]
    assert edited.revision == 2
    assert edited.next_due_at == datetime(2026, 3, 11, 7, 45, tzinfo=UTC)


async def test_a_paused_user_is_promised_nothing(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.users.set_status("ada", "paused")
        clock.advance(hours=5)

        promised = await store.ledger.promise(ALL, Waker("drain"))

    assert promised.scheduled == ()


async def test_the_databases_clock_tells_the_time_in_utc(database_url):
    async with a_store(database_url) as store:
        before = datetime.now(UTC)
        now = await store.ledger.now()
        after = datetime.now(UTC)

    assert before - timedelta(seconds=1) <= now <= after + timedelta(seconds=1)
    assert now.utcoffset() == timedelta(0)
