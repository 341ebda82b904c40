"""Moving a user to another timezone is an edit of every schedule that has none of its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gda.settings import Settings
from gda.store import Store, Wish, make_store, open_database, upgrade

MONDAY = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Hands:
    """A clock that the test moves."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    async def now(self, _: object) -> datetime:
        """The instant that the test set."""
        return self.instant


async def store_at(folder: Path, clock: Hands) -> Store:
    database = open_database(f"sqlite+aiosqlite:///{folder / 'gda.db'}", clock=clock)
    await upgrade(database)
    return make_store(database, Settings())


async def test_what_the_old_timezone_owes_is_promised_before_the_new_one_begins(tmp_path: Path) -> None:
    clock = Hands(MONDAY)
    store = await store_at(tmp_path, clock)
    await store.users.add("ada@example.org", timezone="Europe/London")
    await store.schedules.set(Wish("ada", "digest", "daily 18:00"))
    clock.instant = MONDAY + timedelta(hours=7)
    moved = await store.schedules.move_user("ada", "America/New_York")
    assert moved.timezone == "America/New_York"
    (owed,) = await store.history.list()
    assert (owed.slot, owed.timezone) == ("2026-03-02T18:00", "Europe/London")
    (schedule,) = await store.schedules.all()
    # 18:00 in New York that evening has the same name, which is not promised again; the next one is Tuesday's.
    assert schedule.active_from == clock.instant
    assert (schedule.revision, schedule.timezone) == (2, "America/New_York")
    await store.database.close()


async def test_moving_to_the_same_timezone_changes_nothing(tmp_path: Path) -> None:
    clock = Hands(MONDAY)
    store = await store_at(tmp_path, clock)
    await store.users.add("ada@example.org", timezone="Europe/London")
    before = await store.schedules.set(Wish("ada", "digest", "daily 18:00"))
    clock.instant = MONDAY + timedelta(days=2)
    await store.schedules.move_user("ada", "Europe/London")
    assert await store.schedules.all() == [before]
    assert await store.history.list() == []
    await store.database.close()


async def test_a_user_is_renamed(tmp_path: Path) -> None:
    store = await store_at(tmp_path, Hands(MONDAY))
    await store.users.add("ada@example.org", timezone="Europe/London")
    assert (await store.users.rename("ada", "Ada")).name == "Ada"
    assert (await store.users.get("ada@example.org")).name == "Ada"
    await store.database.close()
