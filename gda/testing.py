"""For tests of your own job types: a real ledger on a database of its own, with a clock that you move.

async with a_test_ledger() as ledger:
    await ledger.owe(invoice, "ada", "daily 07:30")
    await ledger.drain(invoice)
    await ledger.assert_settled(invoice, count=1)
"""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gda.binding import opened
from gda.job import JobType
from gda.lifecycle import Claim, Occurrence, Status
from gda.report import Report
from gda.runner import Desk, WakeUp, attempt_all, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Wish, Worker, make_store, open_database, upgrade

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
        if user not in {known.id for known in await self.store.users.all()}:
            await self.store.users.add(f"{user}@example.org", timezone=timezone)
        await self.store.schedules.set(Wish(user, job_type.kind, expression))
        scope = Scope(job_type.kind, user_id=user)
        await self.store.ledger.promise_by_hand(scope, ByHand(), Waker("hand"))

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
        """Fail unless occurrences of the kind wait (``count`` of them, where given); returns them."""
        return await self._assert(job_type, (Status.SCHEDULED, Status.RETRYING), count)

    async def assert_settled(
        self, job_type: JobType, status: Status = Status.DONE, *, count: int | None = None
    ) -> list[Occurrence]:
        """Fail unless occurrences of the kind ended as ``status``; returns them."""
        return await self._assert(job_type, (status,), count)

    async def assert_dead(self, job_type: JobType, *, count: int | None = None) -> list[Occurrence]:
        """Fail unless occurrences of the kind gave up; returns them."""
        return await self._assert(job_type, (Status.DEAD,), count)

    async def _assert(self, job_type: JobType, wanted: tuple[Status, ...], count: int | None) -> list[Occurrence]:
        there = await self.store.history.list(kind=job_type.kind, limit=10_000)
        found = [occurrence for occurrence in there if occurrence.status in wanted]
        right = bool(found) if count is None else len(found) == count
        if not right:
            standing = ", ".join(f"{occurrence.label} {occurrence.status}" for occurrence in there) or "nothing"
            expected = "some" if count is None else count
            raise AssertionError(f"expected {expected} {' or '.join(wanted)} of {job_type.kind}; there is: {standing}")
        return found


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
