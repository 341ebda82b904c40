"""Plain functions that make what tests need; each has defaults that do not matter to the test at hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gda.job import Job, JobType
from gda.lifecycle import Occurrence, Status
from gda.outcome import Done, Outcome
from gda.retry import RetryPolicy
from gda.settings import Settings
from gda.store import Database, Store, Wish, make_store, open_database, upgrade

MORNING = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)


class VirtualClock:
    """A store's clock that moves only when the test says so."""

    def __init__(self, instant: datetime = MORNING) -> None:
        self.instant = instant

    async def now(self, connection: AsyncConnection) -> datetime:
        """The instant the test has chosen."""
        return self.instant

    def advance(self, **duration: float) -> None:
        """Move on by ``timedelta(**duration)``."""
        self.instant += timedelta(**duration)


@asynccontextmanager
async def a_database(url: str, *, clock: VirtualClock | None = None) -> AsyncIterator[Database]:
    """A database with the newest schema."""
    database = open_database(url, clock=clock)
    try:
        await upgrade(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def a_store(url: str, *, clock: VirtualClock | None = None, **settings: Any) -> AsyncIterator[Store]:
    """An empty store with the newest schema."""
    async with a_database(url, clock=clock) as database:
        yield make_store(database, Settings(database_url=url, **settings))


async def a_user_with_digest(
    store: Store, name: str = "ada", *, expression: str = "daily 07:30", timezone: str = "Europe/London", **wish: Any
) -> None:
    """A user and a digest schedule."""
    await store.users.add(f"{name}@example.org", timezone=timezone)
    await store.schedules.set(Wish(name, "digest", expression, **wish))


@dataclass
class Recorder:
    """A job body that records its attempts and returns outcomes in turn, the last one for good."""

    outcomes: list[Outcome | BaseException] = field(
        default_factory=lambda: list[Outcome | BaseException]([Done("1 message")])
    )
    seen: list[str] = field(default_factory=list)

    async def __call__(self, job: Job) -> Outcome:
        """Perform one attempt."""
        self.seen.append(job.occurrence.label)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def a_job_type(perform: Recorder, **policy: Any) -> JobType:
    """A digest job type with another body."""
    return JobType("digest", perform, RetryPolicy(**policy))


def an_occurrence(**changes: Any) -> Occurrence:
    """A claimed occurrence of ada's digest."""
    values: dict[str, Any] = {
        "id": "00000000-0000-0000-0000-000000000001",
        "kind": "digest",
        "dedup_key": "ada/default/2026-03-10T07:30",
        "user_id": "ada",
        "schedule_id": "s1",
        "slot": "2026-03-10T07:30",
        "due_at": MORNING + timedelta(minutes=90),
        "status": Status.RUNNING,
        "queue": "default",
        "priority": 0,
        "payload": None,
        "metadata": None,
        "suspect": False,
        "ready_at": MORNING + timedelta(minutes=90),
        "expires_at": MORNING + timedelta(days=1),
        "timezone": "Europe/London",
        "extra": False,
        "fence": 1,
        "burnt": 0,
        "max_attempts": 10,
        "timeout_seconds": 300,
        "woken_by": "schedule",
        "reason": "",
        "finished_at": None,
    }
    return Occurrence(**values | changes)
