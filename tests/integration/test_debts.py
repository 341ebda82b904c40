"""What a schedule owes when it is paused or removed: slots due by then, for which no wake-up has come yet."""

from datetime import timedelta

from gda.store import Scope, Store, Waker, Wish
from gda.store.schedules import schedule_id
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

OWED = [("2026-03-10T07:30", "scheduled", "edit")]


async def promised(store: Store) -> list[tuple[str | None, str, str]]:
    return [(one.slot, one.status, one.woken_by) for one in await store.history.list()]


async def test_a_slot_that_was_due_before_the_pause_is_owed_and_nothing_after_it(database_url: str) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        clock.advance(minutes=91)
        await store.schedules.enable("ada", "digest", "default", enabled=False)
        clock.advance(days=1, minutes=1)
        await store.schedules.enable("ada", "digest", "default", enabled=True)
        await store.ledger.promise(Scope("digest"), Waker("drain"))

        assert await promised(store) == OWED


async def test_a_slot_that_was_due_before_the_schedule_was_removed_is_owed(database_url: str) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        clock.advance(minutes=91)
        await store.schedules.remove("ada", "digest", "default")

        assert await promised(store) == OWED


async def test_pausing_twice_owes_nothing_more(database_url: str) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.schedules.enable("ada", "digest", "default", enabled=False)
        clock.instant += timedelta(days=2)
        await store.schedules.enable("ada", "digest", "default", enabled=False)

        assert await promised(store) == []


async def test_a_debt_of_more_slots_than_one_round_takes_is_owed_whole_when_the_schedule_changes(
    database_url: str,
) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        window = timedelta(days=10)
        await a_user_with_digest(store, expression="every 15 minutes", catch_up="all", catch_up_window=window)
        clock.advance(days=6)
        await store.schedules.enable("ada", "digest", "default", enabled=False)

        assert len(await store.history.list(limit=1000)) == 6 * 96


async def test_slots_refused_together_are_counted_without_those_of_the_same_names_before_a_move(
    database_url: str,
) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, timezone="Africa/Casablanca")
        clock.advance(hours=3)
        await store.schedules.move_user("ada", "America/Santiago")
        clock.advance(days=3)
        await store.ledger.promise(Scope("digest"), Waker("drain"))

        reasons = {one.slot: one.reason for one in await store.history.list()}
        assert reasons["2026-03-12T07:30"].endswith("2026-03-11T07:30 .. 2026-03-12T07:30, 2 slots")


async def test_a_slot_that_fell_due_while_paused_in_prefect_is_refused_for_that_when_the_schedule_changes(
    database_url: str,
) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.commands.heed_pauses([schedule_id("ada", "digest", "default")], [])
        clock.advance(minutes=91)
        await store.schedules.set(Wish("ada", "digest", "daily 09:00"))

        assert [(one.slot, one.status, one.reason) for one in await store.history.list()] == [
            ("2026-03-10T07:30", "skipped", "paused in Prefect")
        ]
