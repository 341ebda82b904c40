"""Policies of a schedule in the ledger: how late a slot may come, and when each user's turn is; on both databases."""

from datetime import UTC, datetime, timedelta

from gda.lifecycle import Status
from gda.store import Scope, Store, Waker
from gda.testing import VirtualClock
from tests.builders import a_store, a_user_with_digest

MIDNIGHT = datetime(2026, 3, 10, 0, 0, tzinfo=UTC)
DIGESTS = Scope("digest")


async def promised(store: Store) -> list[tuple[str | None, Status, str]]:
    """Wake for everybody, and return slot, status and reason of each row, latest first."""
    await store.ledger.promise(DIGESTS, Waker("schedule"))
    return [(row.slot, row.status, row.reason) for row in await store.history.list()]


async def test_a_slot_that_comes_later_than_it_is_worth_is_refused_with_that_reason(database_url):
    clock = VirtualClock(MIDNIGHT)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, expire_after=timedelta(hours=2))
        clock.advance(hours=10)
        assert await promised(store) == [("2026-03-10T07:30", Status.SKIPPED, "expired: older than 2 h")]


async def test_a_slot_is_attempted_no_longer_than_it_is_worth_however_it_came_to_be_late(database_url):
    clock = VirtualClock(MIDNIGHT)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, expire_after=timedelta(hours=2))
        await a_user_with_digest(store, "bruno")
        clock.advance(hours=8)
        await store.ledger.promise(DIGESTS, Waker("schedule"))
        limits = {row.user_id: row.expires_at for row in await store.history.list()}

    due = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)
    assert limits == {"ada": due + timedelta(hours=2), "bruno": due + timedelta(days=1)}


async def test_slots_older_than_the_catch_up_window_are_refused_as_one(database_url):
    clock = VirtualClock(MIDNIGHT)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, catch_up="all", catch_up_window=timedelta(days=2))
        clock.advance(days=4, hours=8)
        rows = await promised(store)

    assert [(slot, status) for slot, status, _ in rows] == [
        ("2026-03-14T07:30", Status.SCHEDULED),
        ("2026-03-13T07:30", Status.SCHEDULED),
        ("2026-03-12T07:30", Status.SKIPPED),
    ]
    assert "2026-03-10T07:30 .. 2026-03-12T07:30, 3 slots" in rows[-1][2]


async def test_users_of_one_time_are_spread_each_always_at_the_same_place(database_url):
    clock = VirtualClock(MIDNIGHT)
    users = [f"u{number}" for number in range(8)]
    async with a_store(database_url, clock=clock) as store:
        for user in users:
            await a_user_with_digest(store, user, spread=timedelta(minutes=10))
        waits = []
        for hours in (8, 24):
            clock.advance(hours=hours)
            await store.ledger.promise(DIGESTS, Waker("schedule"))
            rows = await store.history.list(limit=len(users))
            waits.append({row.user_id: row.ready_at - row.due_at for row in rows})

    first, second = waits
    assert first == second
    assert len(set(first.values())) > len(users) / 2
    assert all(timedelta(0) <= wait < timedelta(minutes=10) for wait in first.values())
