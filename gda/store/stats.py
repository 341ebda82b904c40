"""Figures about the ledger."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from gda.store.database import Database
from gda.store.tables import dead_letters, occurrences

OVERDUE_LEASE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells whether work is being done; ``oldest_ready_at`` (aware UTC) is None when nothing waits."""

    leases_overdue: int
    oldest_ready_at: datetime | None
    dead_letters_open: int


class Stats:
    """Figures about one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pulse(self) -> Pulse:
        """Leases expired for 5 minutes and more, the oldest ready occurrence, open dead letters."""
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            overdue = select(func.count()).where(
                text("gda_occurrences.status = 'running'"), occurrences.c.lease_expires_at <= now - OVERDUE_LEASE
            )
            oldest = (
                select(occurrences.c.ready_at)
                .where(text("gda_occurrences.status IN ('scheduled', 'retrying')"), occurrences.c.ready_at <= now)
                .order_by(occurrences.c.ready_at)
                .limit(1)
            )
            letters = select(func.count()).select_from(dead_letters).where(dead_letters.c.closed_at.is_(None))
            return Pulse(
                await connection.scalar(overdue) or 0,
                await connection.scalar(oldest),
                await connection.scalar(letters) or 0,
            )
