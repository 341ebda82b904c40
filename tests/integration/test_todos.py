"""To-dos in the database: what is written is read back, and each change keeps what depends on it in line."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from gda.errors import AlreadyExists, UnknownTodo, UnknownUser, UsageError
from gda.store import Change, Store
from gda.store.todo_tables import todos
from gda.todos import NewTodo, Todo, due_on, read_repeat
from tests.builders import MORNING, VirtualClock, a_store

BERLIN = "Europe/Berlin"
DAY = due_on("2026-03-12", BERLIN)


async def ada(store: Store) -> None:
    await store.users.add("ada@example.org", timezone=BERLIN)


def a_todo(**changes: object) -> NewTodo:
    return replace(NewTodo("ada", "Water the plants", due=DAY, id="plants"), **changes)  # type: ignore[arg-type]


async def test_what_is_written_down_is_read_back(database_url):
    repeat = read_repeat("FREQ=WEEKLY;BYDAY=TH;COUNT=5", "2026-03-12", BERLIN, missed="every")
    new = NewTodo("ada", "Call", "about the roof", "high", ("home", "roof"), DAY, repeat, "call")
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store)
        made = await store.todos.add(new)
        assert made == await store.todos.get("call") == (await store.todos.list())[0]
    assert made == Todo(
        "call", "ada", "Call", "about the roof", "high", ("home", "roof"), "open", DAY.at, "2026-03-12",
        None, None, repeat, made.series_id, "2026-03-12", None, "", MORNING,
    )  # fmt: skip


async def test_one_is_found_by_a_beginning_of_its_id_unless_that_fits_two(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await ada(store)
        for identity in ("plants", "plants-2", "roof"):
            await store.todos.add(a_todo(id=identity))
        assert (await store.todos.get("ro")).id == "roof"
        assert (await store.todos.get("plants")).id == "plants"
        for which, part in (("pla", "is ambiguous"), ("cellar", "does not exist"), ("", "does not exist")):
            with pytest.raises(UnknownTodo, match=part):
                await store.todos.get(which)


async def test_a_taken_id_and_an_unknown_user_are_refused(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await ada(store)
        await store.todos.add(a_todo())
        with pytest.raises(AlreadyExists, match="'plants' exists already"):
            await store.todos.add(a_todo())
        with pytest.raises(UnknownUser):
            await store.todos.add(a_todo(user_id="bo", id="bos"))
        assert (await store.todos.add(a_todo(user_id="ada@example.org", id=None))).user_id == "ada"


async def test_the_list_shows_overdue_ones_first_and_done_ones_last(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store)
        await store.users.add("bo@example.org", timezone="UTC")
        later = due_on("2026-03-20", BERLIN)
        for identity, due in (("later", later), ("someday", None), ("soon", DAY), ("late", later), ("done", DAY)):
            await store.todos.add(a_todo(id=identity, due=due, tags=("home",) if identity == "soon" else ()))
        await store.todos.add(a_todo(id="bos", user_id="bo", tags=("home", "roof")))
        await store.todos.complete("done")
        async with store.database.write() as connection:
            await connection.execute(update(todos).where(todos.c.id == "late").values(status="overdue"))

        async def ids(**narrowed: object) -> list[str]:
            return [each.id for each in await store.todos.list(**narrowed)]  # type: ignore[arg-type]

        assert await ids(user_id="ada") == ["late", "soon", "later", "someday", "done"]
        assert await ids(status="open", user_id="bo") == ["bos"]
        assert await ids(tag="home") == ["bos", "soon"]
        assert await ids(tag="roof") == ["bos"]
        assert await ids(limit=2, user_id="ada") == ["late", "soon"]


async def test_completing_twice_keeps_the_first_completion(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store)
        await store.todos.add(a_todo())
        first = await store.todos.complete("plants")
        clock.advance(hours=1)
        assert first == await store.todos.complete("plants")
        assert (first.status, first.completed_at) == ("done", MORNING)
        reopened = await store.todos.reopen("plants")
        assert (reopened.status, reopened.completed_at) == ("open", None)


async def test_a_due_date_that_moves_takes_the_mark_of_being_overdue_away(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store)
        await store.todos.add(a_todo())
        async with store.database.write() as connection:
            await connection.execute(update(todos).values(status="overdue", overdue_at=MORNING))
        assert (await store.todos.change("plants", Change(title="Water all plants"))).status == "overdue"
        moved = await store.todos.change("plants", Change(due=due_on("2026-04-01", BERLIN)))
        assert (moved.status, moved.overdue_at, moved.due_day) == ("open", None, "2026-04-01")


async def test_a_new_due_date_leaves_the_series_alone_and_a_new_rule_begins_another(tmp_path):
    repeat = read_repeat("weekly", "2026-03-12", BERLIN)
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await ada(store)
        old = await store.todos.add(a_todo(repeat=repeat))
        moved = await store.todos.change("plants", Change(due=due_on("2026-03-14", BERLIN)))
        assert (moved.repeat, moved.series_id, moved.series_slot) == (repeat, old.series_id, "2026-03-12")
        daily = read_repeat("daily", "2026-03-14", BERLIN)
        changed = await store.todos.change("plants", Change(repeat=daily))
        assert (changed.repeat, changed.series_slot) == (daily, "2026-03-14")
        assert changed.series_id != old.series_id
        with pytest.raises(UsageError, match="needs a due date"):
            await store.todos.change("plants", Change(without=frozenset({"due"})))
        plain = await store.todos.change("plants", Change(without=frozenset({"due", "repeat"})))
        assert (plain.due, plain.repeat) == (None, None)


async def test_a_user_who_moves_takes_the_ends_of_days_along_but_no_instants(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store)
        at_nine = due_on("2026-03-12T09:00", BERLIN)
        for identity, due in (("day", DAY), ("time", at_nine), ("done", DAY), ("none", None)):
            await store.todos.add(a_todo(id=identity, due=due))
        await store.todos.complete("done")
        await store.schedules.move_user("ada", "America/New_York")
        found = {each.id: each.due_at for each in await store.todos.list()}
    assert found == {"day": DAY.at + timedelta(hours=5), "time": at_nine.at, "done": DAY.at, "none": None}


async def test_a_removed_user_takes_the_to_dos_along(database_url):
    async with a_store(database_url) as store:
        await ada(store)
        await store.todos.add(a_todo())
        await store.users.remove("ada")
        assert await store.todos.list() == []


async def test_removing_one_removes_only_that(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await ada(store)
        await store.todos.add(a_todo())
        await store.todos.add(a_todo(id="roof"))
        await store.todos.remove("plants")
        assert [each.id for each in await store.todos.list()] == ["roof"]
