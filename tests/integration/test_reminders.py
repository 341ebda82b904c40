"""Reminders: taken once when their time has come, told through inbox and mail, and in step with their to-do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from sqlalchemy import select, text

from flows.reminders import send_reminders
from gda.errors import AlreadyExists, UnknownTodo, UsageError
from gda.jobs.reminders import reminder, take_batch
from gda.lifecycle import Status
from gda.sandbox.faults import Fault
from gda.settings import Settings
from gda.store import Change, NewReminder, Scope, Store, Waker, Worker
from gda.store.tables import users
from gda.store.todo_tables import reminders, todos
from gda.sweep import sweep
from gda.testing import LedgerUnderTest, a_test_ledger
from gda.todos import NewTodo, due_on, read_repeat
from tests.builders import MORNING, VirtualClock, a_store
from tests.integration.test_plans import plan_of, statements_of
from tests.support.flow_runs import environment_of, prefect_within_this_process
from tests.support.sandbox import RunningSandbox, running_sandbox

BERLIN = "Europe/Berlin"
NINE = due_on("2026-03-10T09:00", BERLIN)
"""Two hours after MORNING."""
TODO = NewTodo("ada", "Call about the roof", due=NINE, id="call")
HOUR = timedelta(hours=1)
BY_CRON = Waker("schedule")


async def ada(store: Store, *new: NewTodo, before: timedelta | None = HOUR) -> None:
    await store.users.add("ada@example.org", timezone=BERLIN, name="Ada")
    for one in new or (TODO,):
        await store.todos.add(one)
        if before is not None:
            await store.reminders.add(NewReminder(str(one.id), before=before, id=f"{one.id}-r"))


async def take(store: Store, **settings: Any) -> list[str]:
    """Take what is due; ``id: late`` or ``id: reason`` of each."""
    found = await take_batch(store, Settings(**settings), BY_CRON)
    return [f"{one.reminder_id}: {one.reason or ('late' if one.late else 'on time')}" for one in found]


@asynccontextmanager
async def a_dispatcher(**settings: Any) -> AsyncIterator[tuple[LedgerUnderTest, RunningSandbox]]:
    """A ledger whose mail goes to the sandbox."""
    async with running_sandbox() as google:
        mail = {"smtp_host": "127.0.0.1", "smtp_port": google.smtp_port, "smtp_security": "none"}
        async with a_test_ledger(now=MORNING, **mail | settings) as ledger:
            yield ledger, google


async def dispatched(ledger: LedgerUnderTest) -> None:
    """One minute's work."""
    await take_batch(ledger.store, ledger.settings, BY_CRON)
    await ledger.drain(reminder)


async def test_one_before_the_due_date_is_taken_when_its_time_has_come_and_once(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store)
        assert await take(store) == []
        clock.advance(hours=1)
        assert [await take(store), await take(store)] == [["call-r: on time"], []]
        [claim] = await store.ledger.claim(Scope("reminder"), Worker("w"), limit=5)
        assert (claim.occurrence.user_id, claim.occurrence.due_at) == ("ada", NINE.at - HOUR)
        assert claim.occurrence.payload == {"reminder": "call-r"}
        assert (await store.reminders.get("call-r")).status == "taken"


async def test_a_late_one_is_marked_and_one_that_is_too_late_skipped_with_its_reason(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store)
        await store.reminders.add(NewReminder("call", at=NINE.at + timedelta(hours=20), id="second"))
        clock.advance(hours=26)
        expired = "call-r: expired: it could not be sent within 24 h of its time"
        assert await take(store) == [expired, "second: late"]
        first = await store.reminders.get("call-r")
        assert (first.status, first.reason) == ("skipped", expired.removeprefix("call-r: "))
        assert await take(store) == []


async def test_a_paused_user_is_not_reminded(tmp_path):
    clock = VirtualClock(MORNING)
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await ada(store)
        await store.users.set_status("ada", "paused")
        clock.advance(hours=1)
        assert await take(store) == ["call-r: the user is paused"]


async def test_completing_cancels_what_is_pending_and_what_was_taken(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store)
        await store.reminders.add(NewReminder("call", at=NINE.at + HOUR, id="later"))
        clock.advance(hours=1)
        await take(store)
        await store.todos.complete("call")
        found = {one.id: (one.status, one.reason) for one in await store.reminders.list()}
        assert found == dict.fromkeys(("call-r", "later"), ("cancelled", "the to-do is done"))
        assert await store.history.counts() == {Status.CANCELLED: 1}
        await store.todos.reopen("call")
        assert {one.id: one.status for one in await store.reminders.list()} == {
            "call-r": "cancelled",
            "later": "pending",
        }


async def test_a_due_date_that_moves_takes_along_what_counts_from_it(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store)
        await store.reminders.add(NewReminder("call", at=NINE.at + HOUR, id="fixed"))
        clock.advance(hours=1)
        await take(store)
        await store.todos.change("call", Change(due=due_on("2026-03-11T09:00", BERLIN)))
        found = {one.id: (one.status, one.remind_at) for one in await store.reminders.list()}
        assert found == {"call-r": ("pending", NINE.at + 23 * HOUR), "fixed": ("pending", NINE.at + HOUR)}
        assert await store.history.counts() == {Status.CANCELLED: 1}
        clock.advance(hours=24)
        assert sorted(await take(store)) == ["call-r: on time", "fixed: late"]
        await store.todos.change("call", Change(without=frozenset({"due"})))
        assert {one.id: one.status for one in await store.reminders.list()} == {"call-r": "cancelled", "fixed": "taken"}


async def test_removing_a_reminder_or_its_todo_cancels_what_would_perform_it(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store, TODO, replace(TODO, id="roof"))
        clock.advance(hours=1)
        await take(store)
        await store.reminders.remove("call-r")
        await store.todos.remove("roof")
        assert await store.reminders.list() == []
        assert await store.history.counts() == {Status.CANCELLED: 2}


async def test_a_user_who_moves_takes_the_reminders_of_days_along(tmp_path):
    clock = VirtualClock(MORNING)
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await ada(store, replace(TODO, due=due_on("2026-03-12", BERLIN)))
        old = (await store.reminders.get("call-r")).remind_at
        await store.schedules.move_user("ada", "America/New_York")
        assert (await store.reminders.get("call-r")).remind_at == old + timedelta(hours=5)


async def test_what_follows_a_completed_todo_has_its_reminders_too(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store, replace(TODO, repeat=read_repeat("daily", "2026-03-10T09:00", BERLIN)))
        await store.reminders.add(NewReminder("call", at=NINE.at + HOUR, id="fixed"))
        await store.reminders.add(NewReminder("call", before=timedelta(minutes=30), id="half"))
        await store.todos.complete("call")
        clock.advance(hours=25)
        clock.advance(minutes=15)
        [followed] = await store.todo_scans.follow()
        copies = await store.reminders.list(todo_id=followed.next_id)
        shown = [(one.status, one.remind_at - NINE.at, one.reason) for one in copies]
    assert shown == [
        ("skipped", timedelta(hours=23), "its time had passed when the to-do came back"),
        ("pending", timedelta(hours=23, minutes=30), ""),
    ]


@pytest.mark.parametrize(
    ("new", "part"),
    [
        (NewReminder("call"), "give one of them"),
        (NewReminder("call", at=NINE.at, before=HOUR), "give one of them"),
        (NewReminder("call", before=-HOUR), "give 0 or more"),
        (NewReminder("call", at=MORNING), "lies in the past"),
        (NewReminder("someday", before=HOUR), "has no due date to count from"),
        (NewReminder("done", before=HOUR), "is done: reopen it first"),
        (NewReminder("call", before=HOUR, id="A b"), "use lower-case letters"),
    ],
)
async def test_a_reminder_that_cannot_be_is_refused(tmp_path, new, part):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await ada(store, TODO, replace(TODO, id="someday", due=None), replace(TODO, id="done"), before=None)
        await store.todos.complete("done")
        with pytest.raises(UsageError) as refused:
            await store.reminders.add(new)
        assert part in str(refused.value)
        assert await store.reminders.list() == []


async def test_a_taken_id_and_an_unknown_reminder_are_refused(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await ada(store)
        with pytest.raises(AlreadyExists, match="'call-r' exists already"):
            await store.reminders.add(NewReminder("call", before=HOUR, id="call-r"))
        for which in ("x", ""):
            with pytest.raises(UnknownTodo, match="does not exist"):
                await store.reminders.get(which)


async def test_a_due_one_lies_in_the_inbox_and_in_the_mailbox_once_and_says_so():
    async with a_dispatcher() as (ledger, google):
        await ada(ledger.store)
        ledger.clock.advance(hours=1)
        for _ in range(2):
            await dispatched(ledger)
        [occurrence] = await ledger.assert_settled(reminder, count=1)
        [mail] = google.sandbox.accepted.find()
        [notice] = await ledger.store.notifications.list("ada")
        sent = await ledger.store.reminders.get("call-r")
    assert (mail.subject, mail.recipients) == ("Call about the roof", ("ada@example.org",))
    assert b"Due 2026-03-10 09:00." in mail.content.raw
    assert (notice.title, notice.body) == ("Call about the roof", "Due 2026-03-10 09:00.")
    assert (sent.status, sent.channels, sent.sent_at) == ("sent", "inbox,mail", MORNING + HOUR)
    assert occurrence.reason == "on time"


async def test_a_late_one_says_when_it_was_for():
    async with a_dispatcher(notify_mail=False) as (ledger, google):
        await ada(ledger.store)
        ledger.clock.advance(hours=4)
        await dispatched(ledger)
        [notice] = await ledger.store.notifications.list("ada")
        sent = await ledger.store.reminders.get("call-r")
        assert google.sandbox.accepted.find() == []
    assert notice.body == "Due 2026-03-10 09:00. This reminder is late: it was for 2026-03-10 08:00."
    assert (sent.late, sent.channels) == (True, "inbox")


async def test_one_that_fails_is_tried_again_alone_and_its_neighbours_are_sent():
    async with a_dispatcher(retry_delay_seconds=1) as (ledger, google):
        await ada(ledger.store)
        await ledger.store.users.add("bo@example.org", timezone="UTC")
        await ledger.store.todos.add(replace(TODO, user_id="bo", id="bos"))
        await ledger.store.reminders.add(NewReminder("bos", before=HOUR, id="bos-r"))
        ledger.clock.advance(hours=1)
        google.sandbox.faults.switch_on(Fault("smtp_reject", user="bo@example.org", times=1, code=451))
        await dispatched(ledger)
        assert [one.status for one in await ledger.store.reminders.list()] == ["taken", "sent"]
        ledger.clock.advance(hours=1)
        await dispatched(ledger)
        assert [one.status for one in await ledger.store.reminders.list()] == ["sent", "sent"]
    assert sorted(mail.recipients[0] for mail in google.sandbox.accepted.find()) == [
        "ada@example.org",
        "bo@example.org",
    ]


async def test_one_whose_occurrence_waits_or_died_says_so_and_why():
    async with a_dispatcher(retry_attempts=2, retry_delay_seconds=1) as (ledger, google):
        await ada(ledger.store)
        ledger.clock.advance(hours=1)
        google.sandbox.faults.switch_on(Fault("smtp_reject", user="ada@example.org", times=2, code=451))
        said = []
        for _ in range(2):
            await dispatched(ledger)
            [one] = await ledger.store.reminders.list()
            said.append(one.reason)
            ledger.clock.advance(hours=1)
        [dead] = await ledger.assert_dead(reminder, count=1)
    waits, died = said
    assert waits.startswith(f"occurrence {dead.id} is retrying: ")
    assert died.startswith(f"occurrence {dead.id} is dead: ")
    assert "451" in died


async def test_a_mail_in_doubt_is_sent_again_only_after_the_settling_time():
    async with a_dispatcher(mail_settling_seconds=60) as (ledger, google):
        await ada(ledger.store)
        ledger.clock.advance(hours=1)
        google.sandbox.faults.switch_on(Fault("accept_then_drop", times=1))
        await dispatched(ledger)
        assert len(google.sandbox.accepted) == 1
        ledger.clock.advance(seconds=30)
        await dispatched(ledger)
        assert len(google.sandbox.accepted) == 1
        ledger.clock.advance(seconds=60)
        await dispatched(ledger)
        await ledger.assert_settled(reminder, count=1)
    first, second = google.sandbox.accepted.find()
    assert first.message_id == second.message_id


async def test_one_whose_todo_is_completed_while_it_is_being_performed_is_skipped():
    async with a_dispatcher(notify_mail=False) as (ledger, _):
        await ada(ledger.store)
        ledger.clock.advance(hours=1)
        await take_batch(ledger.store, ledger.settings, BY_CRON)
        await ledger.store.ledger.claim(Scope("reminder"), Worker("slow"), limit=1)
        await ledger.store.todos.complete("call")
        await ledger.store.ledger.hand_back(Worker("slow"))
        await ledger.drain(reminder)
        [row] = await ledger.assert_settled(reminder, Status.SKIPPED, count=1)
        assert row.reason == "the reminder was removed, moved or cancelled"
        assert await ledger.store.notifications.list("ada") == []


async def test_an_idle_dispatch_reads_no_reminder_that_is_sent_or_to_come(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store, before=None)
        plain = {"todo_id": "call", "user_id": "ada", "created_at": MORNING}
        ends = (("sent", -9), ("pending", 9))
        rows = [
            plain | {"id": f"{status}{n}", "status": status, "remind_at": MORNING + timedelta(days=days)}
            for status, days in ends
            for n in range(5000)
        ]
        async with store.database.write() as connection:
            await connection.execute(reminders.insert(), rows)
            await connection.execute(text("ANALYZE"))
        asked = await statements_of(store, take)
        plans = [line for one in asked for line in await plan_of(store, *one)]
    assert any("ix_gda_reminders_pending" in line for line in plans), plans
    assert not [line for line in plans if "Seq Scan on gda_reminders" in line or line == "SCAN gda_reminders"], plans


async def test_where_there_are_no_reminders_neither_dispatch_nor_sweep_reads_the_users(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await ada(store)
        async with store.database.write() as connection:
            [row] = (await connection.execute(select(users))).mappings()
            more = [{**row, "id": f"user-{n}", "email": f"user-{n}@example.org"} for n in range(2000)]
            await connection.execute(users.insert(), more)
            await connection.execute(reminders.delete())
            await connection.execute(text("ANALYZE"))
        asked = [
            *await statements_of(store, take),
            *await statements_of(store, lambda one: one.reminder_dispatch.any_due()),
        ]
        plans = [line for one in asked for line in await plan_of(store, *one)]
    assert not [line for line in plans if "Seq Scan on gda_users" in line or "SCAN gda_users" in line], plans


async def test_the_sweep_asks_for_a_stand_in_only_where_a_reminder_is_due_and_nobody_has_taken_it(database_url):
    asked: list[str] = []

    async def stand_in(kind: str) -> bool:
        asked.append(kind)
        return True

    async def nothing(*_: object) -> int:
        return 0

    async def drains_asked_for(store: Store) -> int:
        wanted = {"ensure_drain": nothing, "close_runs": nothing, "stand_in": stand_in}
        return (await sweep(store, Settings(), Waker("sweep"), **wanted)).drains

    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await ada(store)
        early = await drains_asked_for(store)
        clock.advance(hours=1)
        due = await drains_asked_for(store)
        await take(store)
        taken = await drains_asked_for(store)
    assert (early, due, taken, asked) == (0, 1, 0, ["reminder"])


async def test_its_flow_takes_and_sends_what_is_due_and_writes_a_table(prefect_server, tmp_path, monkeypatch):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    settings = Settings(database_url=url, notify_mail=False, early_seconds=0)  # type: ignore[arg-type]
    async with a_store(url) as store, prefect_server.client() as client, prefect_within_this_process():
        for name, value in environment_of(settings).items():
            monkeypatch.setenv(name, value)
        now = await store.ledger.now()
        await store.users.add_many([(f"u{n}", f"u{n}@example.org", "UTC") for n in range(300)])
        owned = [{"id": f"t{n}", "user_id": f"u{n}"} for n in range(300)]
        plain = {"remind_at": now - timedelta(seconds=5), "created_at": now}
        async with store.database.write() as connection:
            await connection.execute(todos.insert(), [one | {"title": "x", "created_at": now} for one in owned])
            due = [plain | {"id": f"r{n}", "todo_id": f"t{n}", "user_id": f"u{n}"} for n in range(300)]
            await connection.execute(reminders.insert(), due)
        states = [await send_reminders(return_state=True) for _ in range(2)]
        sent = await store.reminders.list(status="sent", limit=500)
        key = ArtifactFilter(key=ArtifactFilterKey(any_=["reminder"]))
        [table] = await client.read_artifacts(artifact_filter=key)
    assert [state.message for state in states] == ["300 done", "nothing due"]
    assert len(sent) == 300
    assert table.description == "300 reminders due, 0 late, 0 not sent"
