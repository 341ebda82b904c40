"""Reminders on one worker without network: how many a second, and what an idle scan costs beside a million rows.

The dispatcher's own code takes them, and the runner performs them in the chunks that Prefect task runs would carry;
Prefect itself is left out (``bench.queue`` measures what a chunk costs there).
"""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text

from gda.binding import opened
from gda.glue.batch import loosen_collector
from gda.jobs.reminders import AT_ONCE, reminder, take_batch
from gda.jobs.scanning import until_empty
from gda.report import Report
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Worker, make_store, open_database, upgrade
from gda.store.todo_tables import reminders, todos
from tests.support.postgres import running_postgres

BOUND_PER_SECOND = 1000.0
BOUND_IDLE_SECONDS = 0.020
USERS = 1000
PART = 20_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """One database with so many rows that are not due beside so many reminders that are; times in seconds."""

    database: str
    beside: int
    due: int
    take_seconds: float
    perform_seconds: float
    cpu_milliseconds: float
    idle_seconds: dict[str, float]
    load: float
    """Of the machine, at the end."""

    @property
    def per_second(self) -> float:
        """Reminders taken, told and settled in a second."""
        return self.due / (self.take_seconds + self.perform_seconds)

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        title = f"{self.database}, {self.due} due beside {self.beside}"
        return [
            (f"{title}: dispatched per second", f"{self.per_second:.0f}"),
            (f"{title}: taken in, performed in", f"{self.take_seconds:.1f} s, {self.perform_seconds:.1f} s"),
            (f"{title}: CPU each", f"{self.cpu_milliseconds:.2f} ms"),
            (f"{title}: load of the machine, its cores", f"{self.load:.1f}, {os.cpu_count()}"),
            *((f"{title}: idle scan, {name}", f"{value * 1000:.1f} ms") for name, value in self.idle_seconds.items()),
        ]


@dataclass(frozen=True, slots=True)
class Figures:
    """All rounds."""

    rounds: tuple[Round, ...]

    @property
    def misses(self) -> list[str]:
        """One sentence for each bound that does not hold."""
        slow = [
            f"{one.database}, beside {one.beside}: {one.per_second:.0f} reminders/s, fewer than {BOUND_PER_SECOND:.0f}"
            for one in self.rounds
            if one.per_second < BOUND_PER_SECOND
        ]
        idle = [
            f"{one.database}, beside {one.beside}: an idle scan of {name} took {value * 1000:.0f} ms"
            for one in self.rounds
            for name, value in one.idle_seconds.items()
            if value > BOUND_IDLE_SECONDS
        ]
        return slow + idle

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {"rounds": [asdict(one) | {"per_second": one.per_second} for one in self.rounds]}

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        return [row for one in self.rounds for row in one.rows()]


async def measure(*, due: int, beside: Sequence[int], say: Say) -> Figures:
    """Dispatch ``due`` reminders beside each of the numbers of rows that are not due, on both databases."""
    loosen_collector()  # As each flow run does before its batch.
    rounds = []
    with TemporaryDirectory(prefix="gda-bench-") as folder, running_postgres() as server:
        for number in beside:
            say(f"{due} reminders beside {number} rows")
            file = f"sqlite+aiosqlite:///{Path(folder) / f'{number}.db'}"
            rounds.append(await _round("SQLite", file, number, due))
            rounds.append(await _round("PostgreSQL", await server.create_database(), number, due))
    return Figures(tuple(rounds))


async def _round(name: str, url: str, beside: int, due: int) -> Round:
    settings = Settings(database_url=SecretStr(url), notify_mail=False, early_seconds=0, concurrency=AT_ONCE)
    database = open_database(settings.database)
    try:
        await upgrade(database)
        store = make_store(database, settings)
        now = await store.ledger.now()
        await store.users.add_many([(f"u{n}", f"u{n}@example.org", "Europe/Berlin") for n in range(USERS)])
        await _fill(store, now + timedelta(days=9), beside, "later")
        idle = await _idle(store, settings)
        await _fill(store, now - timedelta(minutes=1), due, "due")
        began, spent = time.monotonic(), time.process_time()
        await until_empty(lambda: take_batch(store, settings, Waker("bench")))
        taken = time.monotonic()
        report = await _perform(store, settings)
        cpu = (time.process_time() - spent) / due * 1000
        ended = time.monotonic()
        await _require_sent(store, due, report)
        return Round(name, beside, due, taken - began, ended - taken, cpu, idle, os.getloadavg()[0])
    finally:
        await database.close()


async def _perform(store: Store, settings: Settings) -> Report:
    async with opened(reminder, settings, store) as job:
        desk = Desk(store, job, settings)
        call = WakeUp(Scope(reminder.kind), Worker("bench"), Waker("bench"))
        return await wake(desk, call, lambda claims: settle_alone(desk, claims))


async def _require_sent(store: Store, due: int, report: Report) -> None:
    sent = len(await store.reminders.list(status="sent", limit=due + 1))
    if sent != due:
        raise RuntimeError(f"{sent} of {due} reminders were sent: {report}")


async def _fill(store: Store, when: datetime, count: int, name: str) -> None:
    """To-dos that are done and processed, with a reminder each at that time."""
    past = when - timedelta(days=30)
    series = {"repeat_rule": "daily", "repeat_start": "2026-03-01", "series_slot": "2026-03-01"}
    done = {"title": "x", "status": "done", "completed_at": past, "last_processed_at": past, "due_at": past}
    for start in range(0, count, PART):
        ids = [(f"{name}{n}", f"u{n % USERS}") for n in range(start, min(start + PART, count))]
        owned = [done | series | {"id": i, "user_id": u, "series_id": i, "created_at": past} for i, u in ids]
        each = [{"id": i, "todo_id": i, "user_id": u, "remind_at": when, "created_at": past} for i, u in ids]
        async with store.database.write() as connection:
            await connection.execute(todos.insert(), owned)
            await connection.execute(reminders.insert(), each)
    async with store.database.write() as connection:
        await connection.execute(text("ANALYZE"))


async def _idle(store: Store, settings: Settings) -> dict[str, float]:
    async def shortest(scan: Callable[[], Awaitable[Sequence[Any]]]) -> float:
        times = []
        for _ in range(5):
            began = time.monotonic()
            if await scan():
                raise RuntimeError("the scan was not idle")
            times.append(time.monotonic() - began)
        return sorted(times)[len(times) // 2]

    return {
        "reminders": await shortest(lambda: take_batch(store, settings, Waker("bench"))),
        "recurring": await shortest(store.todo_scans.follow),
        "overdue": await shortest(lambda: store.todo_scans.mark_overdue(notify=True)),
    }
