"""Recurring to-dos and overdue ones: what the scans find, what they write, and what they leave alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from pydantic import SecretStr
from sqlalchemy import text, update

from flows.overdue_scan import scan_overdue
from flows.recurring_tasks import process_recurring_tasks
from gda.jobs.overdue import overdue_scan
from gda.jobs.recurring import recurring_task
from gda.outcome import Done, Skip
from gda.settings import Settings
from gda.store import Change, Store
from gda.store.todo_tables import todos
from gda.testing import a_test_ledger
from gda.todos import NewTodo, Todo, due_on, read_repeat
from tests.builders import MORNING, VirtualClock, a_store
from tests.integration.test_plans import plan_of, statements_of
from tests.support.flow_runs import environment_of, prefect_within_this_process

BERLIN = "Europe/Berlin"
WEEKLY = read_repeat("weekly", "2026-03-09T09:00", BERLIN)
FIRST = NewTodo("ada", "Water", "all of them", "high", ("home",), due_on("2026-03-09T09:00", BERLIN), WEEKLY, "plants")
PAST = NewTodo("ada", "Call", due=due_on("2026-03-09", BERLIN), id="call")


async def ada(store: Store, *new: NewTodo) -> None:
    await store.users.add("ada@example.org", timezone=BERLIN)
    for one in new:
        await store.todos.add(one)


async def others(store: Store, *known: str) -> list[Todo]:
    return [one for one in await store.todos.list() if one.id not in known]


async def test_a_completed_one_comes_back_as_it_was_with_its_next_due_date(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store, FIRST)
        assert await store.todo_scans.follow() == []
        done = await store.todos.complete("plants")
        [followed] = await store.todo_scans.follow()
        [made] = await others(store, "plants")
        assert made == replace(
            done,
            id=followed.next_id,
            status="open",
            completed_at=None,
            due_at=due_on("2026-03-16T09:00", BERLIN).at,
            series_slot="2026-03-16T09:00",
        )
        assert (await store.todos.get("plants")).last_processed_at == MORNING
        assert await store.todo_scans.follow() == []


async def test_a_completion_that_is_looked_at_twice_is_followed_once(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store, FIRST)
        await store.todos.complete("plants")
        await store.todo_scans.follow()
        async with store.database.write() as connection:
            await connection.execute(update(todos).values(last_processed_at=None))
        [again] = await store.todo_scans.follow()
        assert (again.next_id, again.note) == (None, "2026-03-16T09:00 of the series is there already")
        assert len(await others(store, "plants")) == 1


async def test_one_that_is_reopened_and_done_again_has_no_second_next_one(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store, FIRST)
        for _ in range(2):
            await store.todos.complete("plants")
            await store.todo_scans.follow()
            await store.todos.reopen("plants")
            clock.advance(minutes=5)
        assert len(await others(store, "plants")) == 1


@pytest.mark.parametrize(
    ("missed", "slots"), [("next", ["2026-04-13T09:00"]), ("every", ["2026-03-16T09:00", "2026-03-23T09:00"])]
)
async def test_what_is_done_weeks_late_goes_on_as_its_policy_says(tmp_path, missed, slots):
    clock = VirtualClock(MORNING)
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await ada(store, replace(FIRST, repeat=replace(WEEKLY, missed=missed)))
        clock.advance(days=30)
        found, open_one = [], "plants"
        for _ in slots:
            await store.todos.complete(open_one)
            [followed] = await store.todo_scans.follow()
            open_one = str(followed.next_id)
            found.append((await store.todos.get(open_one)).series_slot)
        assert found == slots


async def test_a_series_that_ends_and_a_rule_that_cannot_be_read_are_looked_at_once(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        ending, broken = read_repeat("weekly", "2026-03-09T09:00", BERLIN, count=1), replace(WEEKLY, rule="FREQ=NEVER")
        await ada(
            store, replace(FIRST, repeat=ending), replace(FIRST, repeat=broken, id="broken"), replace(FIRST, id="sound")
        )
        for one in ("plants", "broken", "sound"):
            await store.todos.complete(one)
        found = {one.todo_id: one for one in await store.todo_scans.follow()}
        assert found["plants"].note == "the series has ended"
        assert "the next date cannot be found (ValueError)" in found["broken"].note
        assert found["sound"].next_id
        assert "set --repeat anew" in (await store.todos.get("broken")).problem
        assert await store.todo_scans.follow() == []


async def test_what_does_not_repeat_or_is_not_done_is_left_alone(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await ada(store, replace(FIRST, repeat=None), replace(FIRST, id="open"))
        await store.todos.complete("plants")
        assert await store.todo_scans.follow() == []


async def test_what_is_past_due_is_marked_and_told_once_for_each_due_date(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(
            store, PAST, replace(PAST, id="later", due=due_on("2026-03-10", BERLIN)), replace(PAST, id="none", due=None)
        )
        [marked] = await store.todo_scans.mark_overdue(notify=True)
        assert (marked.todo_id, marked.notified) == ("call", True)
        assert await store.todo_scans.mark_overdue(notify=True) == []
        call = await store.todos.get("call")
        assert (call.status, call.overdue_at) == ("overdue", MORNING)
        [notice] = await store.notifications.list("ada", unread=True)
        assert (notice.title, notice.body) == ("Call", "Overdue: it was due 2026-03-09.")

        await store.todos.change("call", Change(due=due_on("2026-03-10T08:00", BERLIN)))
        clock.advance(hours=2)
        assert [one.notified for one in await store.todo_scans.mark_overdue(notify=True)] == [True]
        assert [one.body for one in await store.notifications.list("ada")] == [
            "Overdue: it was due 2026-03-10 08:00.",
            "Overdue: it was due 2026-03-09.",
        ]
        # Moved away and back again: that date was told before.
        for day in ("2026-05-01", "2026-03-09"):
            await store.todos.change("call", Change(due=due_on(day, BERLIN)))
        assert [one.notified for one in await store.todo_scans.mark_overdue(notify=True)] == [False]


async def test_a_day_is_past_only_when_it_has_ended_where_the_user_lives(tmp_path):
    clock = VirtualClock(MORNING.replace(day=9, hour=22, minute=59))
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await ada(store, PAST)
        assert await store.todo_scans.mark_overdue(notify=True) == []
        clock.advance(minutes=1)
        assert len(await store.todo_scans.mark_overdue(notify=True)) == 1


async def test_nobody_is_told_where_notices_are_off_or_the_user_is_paused(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await ada(store, PAST)
        assert [one.notified for one in await store.todo_scans.mark_overdue(notify=False)] == [False]
        await store.users.set_status("ada", "paused")
        await store.todos.add(replace(PAST, id="paused"))
        assert [one.notified for one in await store.todo_scans.mark_overdue(notify=True)] == [False]
        assert await store.notifications.list("ada") == []


async def test_a_notice_that_was_read_is_no_longer_unread(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await ada(store, PAST)
        await store.todo_scans.mark_overdue(notify=True)
        [notice] = await store.notifications.list("ada")
        assert [await store.notifications.read("ada", [notice.id]) for _ in range(2)] == [1, 0]
        assert await store.notifications.list("ada", unread=True) == []


async def test_both_kinds_do_in_one_job_what_several_batches_need():
    async with a_test_ledger(now=MORNING) as ledger:
        await ada(ledger.store, FIRST, PAST)
        await ledger.store.todos.complete("plants")
        assert await ledger.perform_inline(recurring_task) == Done("1 completed to-dos, 1 followed")
        assert await ledger.perform_inline(recurring_task) == Skip("no completed to-do repeats")
        assert await ledger.perform_inline(overdue_scan) == Done("1 to-dos are overdue, 1 notified")
        assert await ledger.perform_inline(overdue_scan) == Skip("nothing is past due")


async def test_an_idle_scan_reads_no_todo_that_is_settled(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await store.users.add_many([(f"u{n}", f"u{n}@example.org", "UTC") for n in range(100)])
        past, series = MORNING - timedelta(days=9), {"repeat_rule": "daily", "repeat_start": "2026-03-01"}
        plain = {"title": "x", "due_at": past, "created_at": past, "status": "done", "completed_at": past} | series
        rows = [
            plain | {"id": f"t{n}", "user_id": f"u{n % 100}", "series_id": f"s{n}", "series_slot": "2026-03-01"}
            | {"last_processed_at": past}
            for n in range(5000)
        ]  # fmt: skip
        later = {"status": "open", "due_at": MORNING + timedelta(days=9), "title": "x", "created_at": past}
        async with store.database.write() as connection:
            await connection.execute(todos.insert(), rows)
            await connection.execute(
                todos.insert(), [later | {"id": f"l{n}", "user_id": f"u{n % 100}"} for n in range(5000)]
            )
            await connection.execute(text("ANALYZE"))
        for ask, index in (
            (lambda store: store.todo_scans.follow(), "ix_gda_todos_unprocessed"),
            (lambda store: store.todo_scans.mark_overdue(notify=True), "ix_gda_todos_open"),
        ):
            plans = [line for asked in await statements_of(store, ask) for line in await plan_of(store, *asked)]
            assert any(index in line for line in plans), plans
            assert not [line for line in plans if "Seq Scan on gda_todos" in line or line == "SCAN gda_todos"], plans


async def test_each_is_a_flow_that_writes_a_table_of_what_it_did_and_none_when_idle(
    prefect_server, tmp_path, monkeypatch
):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    async with a_store(url) as store, prefect_server.client() as client, prefect_within_this_process():
        for name, value in environment_of(Settings(database_url=SecretStr(url))).items():
            monkeypatch.setenv(name, value)
        await ada(store, FIRST, PAST)
        await store.todos.complete("plants")
        states = [await flow(return_state=True) for flow in (process_recurring_tasks, scan_overdue) for _ in range(2)]
        keys = ArtifactFilter(key=ArtifactFilterKey(any_=["recurring-task", "overdue-scan"]))
        tables = {found.key: str(found.data) for found in await client.read_artifacts(artifact_filter=keys)}
        amount = len(await client.read_artifacts(artifact_filter=keys))
    assert [state.message for state in states] == [
        "1 completed to-dos, 1 followed",
        "no completed to-do repeats",
        "1 to-dos are overdue, 1 notified",
        "nothing is past due",
    ]
    assert amount == 2
    assert '"todo_id": "plants"' in tables["recurring-task"]
    assert '"todo_id": "call"' in tables["overdue-scan"]
    assert "Water" not in tables["recurring-task"]
