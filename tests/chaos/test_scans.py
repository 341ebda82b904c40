"""Five processes scan everybody's to-dos at once, and some are killed: each to-do is acted on exactly once."""

import asyncio
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from gda.store import Store
from gda.store.tables import attempts, occurrences
from gda.store.todo_tables import notifications, reminders, todos
from tests.builders import a_store
from tests.chaos.crew import FULL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 10_000 if FULL else 2000
DEATHS, DYING_ROWS = (50, 2000) if FULL else (8, 400)
USERS = 50


async def filled(store: Store, count: int) -> None:
    """Half of the to-dos completed and repeating, half open and past due."""
    names = [f"u{number}" for number in range(USERS)]
    await store.users.add_many([(name, f"{name}@example.org", "Europe/Berlin") for name in names])
    past = datetime.now(UTC) - timedelta(days=2)
    plain = {"title": "x", "due_at": past, "created_at": past}
    series = {"status": "done", "completed_at": past, "repeat_rule": "daily", "repeat_start": "2026-03-01T09:00"}
    rows = [
        plain
        | series
        | {"id": f"done{n}", "user_id": names[n % USERS], "series_id": f"s{n}", "series_slot": "2026-03-01T09:00"}
        for n in range(count)
    ]
    late = [plain | {"id": f"late{n}", "user_id": names[n % USERS]} for n in range(count)]
    async with store.database.write() as connection:
        await connection.execute(todos.insert(), rows)
        await connection.execute(todos.insert(), late)


async def reminded(store: Store, count: int) -> None:
    """So many reminders that are due, each of a to-do of its own."""
    names = [f"u{number}" for number in range(USERS)]
    await store.users.add_many([(name, f"{name}@example.org", "Europe/Berlin") for name in names])
    past = datetime.now(UTC) - timedelta(minutes=1)
    owned = [{"id": f"t{n}", "user_id": names[n % USERS], "title": "x", "created_at": past} for n in range(count)]
    due = [{"id": f"r{n}", "todo_id": f"t{n}", "user_id": names[n % USERS]} for n in range(count)]
    async with store.database.write() as connection:
        await connection.execute(todos.insert(), owned)
        await connection.execute(reminders.insert(), [one | {"remind_at": past, "created_at": past} for one in due])


async def scanned(
    url: str, scan: str, *, deaths: int = 0, limit: int = 50, perform: bool = False
) -> tuple[Counter[str], int]:
    """Let the processes work; what they say they acted on, and how many were killed."""
    settings = {"database_url": url, "notify_mail": False, "early_seconds": 0}
    order = {"settings": settings, "scan": scan, "deaths": deaths, "limit": limit, "perform": perform}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.scanners", json.dumps(order), stdout=-1, stderr=-1
    )
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()[-2000:]
    return Counter(out.decode().split()), int(err.split()[-1])


async def count(store: Store, *conditions: Any, table: Any = todos) -> int:
    async with store.database.read() as connection:
        found = await connection.scalar(select(func.count()).select_from(table).where(*conditions))
    return int(found or 0)


async def test_five_processes_follow_each_completion_once(database_url):
    async with a_store(database_url) as store:
        await filled(store, ROWS)
        acted, _ = await scanned(database_url, "follow")
        made = await count(store, todos.c.made_from.is_not(None))
        left = await count(store, todos.c.completed_at.is_not(None), todos.c.last_processed_at.is_(None))
    assert set(acted.values()) == {1}
    assert (len(acted), made, left) == (ROWS, ROWS, 0)


async def test_five_processes_mark_each_overdue_todo_once(database_url):
    async with a_store(database_url) as store:
        await filled(store, ROWS)
        acted, _ = await scanned(database_url, "overdue")
        marked = await count(store, todos.c.status == "overdue")
        told = await count(store, table=notifications)
    assert set(acted.values()) == {1}
    assert (len(acted), marked, told) == (ROWS, ROWS, ROWS)


async def test_processes_that_are_killed_at_random_leave_nothing_half_done(database_url):
    async with a_store(database_url) as store:
        await filled(store, DYING_ROWS)
        _, killed = await scanned(database_url, "follow", deaths=DEATHS, limit=10)
        _, also = await scanned(database_url, "overdue", deaths=DEATHS, limit=10)
        made = await count(store, todos.c.made_from.is_not(None))
        processed = await count(store, todos.c.last_processed_at.is_not(None))
        marked = await count(store, todos.c.status == "overdue", todos.c.overdue_at.is_not(None))
        told = await count(store, table=notifications)
    print(f"scans: {killed} and {also} killed over {DYING_ROWS} rows")
    assert killed + also >= DEATHS
    assert (made, processed, marked, told) == (DYING_ROWS,) * 4


async def test_five_processes_send_each_reminder_once(database_url):
    async with a_store(database_url) as store:
        await reminded(store, ROWS)
        acted, _ = await scanned(database_url, "take", perform=True)
        sent = await count(store, reminders.c.status == "sent", table=reminders)
        settled = await count(store, occurrences.c.status == "done", table=occurrences)
        tried, told = await count(store, table=attempts), await count(store, table=notifications)
    assert set(acted.values()) == {1}
    assert (len(acted), sent, settled, tried, told) == (ROWS,) * 5


async def test_dispatchers_that_are_killed_take_each_reminder_together_with_its_occurrence(database_url):
    async with a_store(database_url) as store:
        await reminded(store, DYING_ROWS)
        _, killed = await scanned(database_url, "take", deaths=DEATHS, limit=10)
        taken = await count(store, reminders.c.status == "taken", table=reminders)
        waiting = await count(store, occurrences.c.status == "scheduled", table=occurrences)
    print(f"dispatchers: {killed} killed over {DYING_ROWS} reminders")
    assert killed >= DEATHS // 2
    assert (taken, waiting) == (DYING_ROWS,) * 2
