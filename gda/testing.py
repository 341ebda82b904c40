"""For tests of your own job types: a real ledger on a database of its own, with a clock that you move.

async with a_test_ledger() as ledger:
    await ledger.owe(report, "ada", "daily 07:30")     # a slot of ada's schedule
    await ledger.enqueue(invoice, {"number": 7})       # work without a schedule
    await ledger.drain(invoice)
    await ledger.assert_settled(invoice, count=1)
    outcome = await ledger.perform_inline(invoice, {"number": 8})  # the body alone; the ledger hears nothing
"""

import math
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from gda.binding import opened
from gda.enqueue import NewJob, checked_payload, enqueue
from gda.job import Job, JobType
from gda.lifecycle import Claim, Occurrence, Status
from gda.outcome import Outcome
from gda.registry import Registry
from gda.report import Report
from gda.runner import Desk, WakeUp, attempt_all, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Wish, Worker, make_store, open_database, upgrade

WAITING = (Status.SCHEDULED, Status.RETRYING)
MORNING = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class VirtualClock:
    """A ledger's clock that moves only when the test says so."""

    def __init__(self, instant: datetime = MORNING) -> None:
        self.instant = instant

    async def now(self, connection: object) -> datetime:
        """The instant that the test has chosen, aware UTC."""
        return self.instant

    def advance(self, **duration: float) -> None:
        """Move on by ``timedelta(**duration)``."""
        self.instant += timedelta(**duration)


@dataclass(frozen=True, slots=True)
class LedgerUnderTest:
    """A ledger with nothing in it but what the test puts there."""

    store: Store
    settings: Settings
    clock: VirtualClock

    async def owe(self, job_type: JobType, user: str, expression: str, *, timezone: str = "UTC") -> None:
        """Give a user, made where need be, a schedule of the kind; its latest slot is due at once."""
        await self._know(user, timezone)
        await self.store.schedules.set(Wish(user, job_type.kind, expression))
        scope = Scope(job_type.kind, user_id=user)
        await self.store.ledger.promise_by_hand(scope, ByHand(), Waker("hand"))

    async def enqueue(
        self, job_type: JobType, payload: Mapping[str, Any] | None = None, *, user: str | None = None, **values: Any
    ) -> Occurrence:
        """Enqueue one job of the kind, as a program does; its hooks are told.

        Args:
            job_type: the kind.
            payload: what it carries.
            user: whose it is, made where need be.
            values: further fields of ``gda.enqueue.NewJob``: ``delay``, ``priority``, ``unique`` and so on.

        Returns:
            Its occurrence; where a unique key is taken, the one that has it.

        Raises:
            UsageError: as ``gda.enqueue.enqueue``.
        """
        if user is not None:
            await self._know(user)
        registry = Registry()
        registry.register(job_type)
        job = NewJob(job_type.kind, payload or {}, user_id=user, **values)
        made = await enqueue(self.store.queue, registry, self.settings, job)
        return await self.store.ledger.get(made.occurrence_id)

    async def perform_inline(
        self, job_type: JobType, payload: Mapping[str, Any] | None = None, *, user: str | None = None
    ) -> Outcome:
        """Perform the kind's body once, with its tools, hooks and middleware, without an occurrence in the ledger.

        Args:
            job_type: the kind.
            payload: what the job carries.
            user: whose it is.

        Returns:
            What the body returned; nothing is settled.

        Raises:
            Exception: whatever the body raises.
        """
        job = Job(Claim(self._an_occurrence(job_type, payload, user), "inline", fence=1), 1, _always_mine)
        async with opened(job_type, self.settings, self.store) as ready:
            return await ready.perform(job)

    async def drain(self, job_type: JobType) -> Report:
        """Perform in this process whatever is due of the kind, as a drain run does."""
        async with opened(job_type, self.settings, self.store) as ready:
            desk = Desk(self.store, ready, self.settings)

            async def each(claims: Sequence[Claim]) -> list[Status | None]:
                tried = await attempt_all(desk, claims, may_retry_here=False)
                return [settlement.status if settlement else None for _, settlement in tried]

            call = WakeUp(Scope(job_type.kind), Worker("test"), Waker("drain"))
            return await wake(desk, call, each)

    async def assert_enqueued(self, job_type: JobType, *, count: int | None = None) -> list[Occurrence]:
        """Fail unless enqueued occurrences of the kind wait (``count`` of them, where given); returns them.

        Slots of schedules do not count: see :meth:`assert_promised`.
        """
        return await self._assert(job_type, WAITING, count, scheduled=False)

    async def assert_promised(self, job_type: JobType, *, count: int | None = None) -> list[Occurrence]:
        """Fail unless slots of the kind's schedules wait; returns them."""
        return await self._assert(job_type, WAITING, count, scheduled=True)

    async def assert_settled(
        self, job_type: JobType, status: Status = Status.DONE, *, count: int | None = None
    ) -> list[Occurrence]:
        """Fail unless occurrences of the kind ended as ``status``; returns them."""
        return await self._assert(job_type, (status,), count)

    async def assert_dead(self, job_type: JobType, *, count: int | None = None) -> list[Occurrence]:
        """Fail unless occurrences of the kind gave up; returns them."""
        return await self._assert(job_type, (Status.DEAD,), count)

    async def _know(self, user: str, timezone: str = "UTC") -> None:
        if user not in {known.id for known in await self.store.users.all()}:
            await self.store.users.add(f"{user}@example.org", timezone=timezone, user_id=user)

    def _an_occurrence(self, job_type: JobType, payload: Mapping[str, Any] | None, user: str | None) -> Occurrence:
        now = self.clock.instant
        return Occurrence(
            id=str(uuid4()),
            kind=job_type.kind,
            dedup_key=f"inline/{uuid4()}",
            user_id=user,
            schedule_id=None,
            slot=None,
            due_at=now,
            status=Status.RUNNING,
            queue=job_type.queue,
            priority=0,
            payload=checked_payload(payload or {}, job_type),
            metadata=None,
            suspect=False,
            ready_at=now,
            expires_at=None,
            timezone="UTC",
            extra=True,
            fence=1,
            burnt=0,
            max_attempts=job_type.retry_under(self.settings).attempts,
            timeout_seconds=math.ceil(job_type.timeout_under(self.settings).total_seconds()),
            woken_by="inline",
            reason="",
            finished_at=None,
        )

    async def _assert(
        self,
        job_type: JobType,
        wanted: tuple[Status, ...],
        count: int | None,
        *,
        scheduled: bool | None = None,
    ) -> list[Occurrence]:
        there = await self.store.history.list(kind=job_type.kind, limit=10_000)
        meant = [one for one in there if scheduled in (None, one.schedule_id is not None)]
        found = [occurrence for occurrence in meant if occurrence.status in wanted]
        right = bool(found) if count is None else len(found) == count
        if not right:
            standing = ", ".join(f"{occurrence.label} {occurrence.status}" for occurrence in there) or "nothing"
            expected = "some" if count is None else count
            raise AssertionError(f"expected {expected} {' or '.join(wanted)} of {job_type.kind}; there is: {standing}")
        return found


async def _always_mine() -> None:
    """Nobody else wants what is performed inline."""


@asynccontextmanager
async def a_test_ledger(*, now: datetime = MORNING, **settings: Any) -> AsyncIterator[LedgerUnderTest]:
    """Open an empty ledger on a temporary SQLite database.

    Args:
        now: where its clock stands (aware).
        settings: fields of ``gda.settings.Settings`` that differ from their defaults.
    """
    clock = VirtualClock(now)
    with tempfile.TemporaryDirectory(prefix="gda-test-") as folder:
        values: dict[str, Any] = {
            "database_url": f"sqlite+aiosqlite:///{Path(folder) / 'gda.db'}",
            # A wake-up ends rather than waiting for what a clock that stands still never makes ready.
            "early_seconds": 0,
        }
        chosen = Settings(**values | settings)
        database = open_database(chosen.database, clock=clock)
        try:
            await upgrade(database)
            yield LedgerUnderTest(make_store(database, chosen), chosen, clock)
        finally:
            await database.close()
