"""Named leases: who may do singleton work (sweep, apply), for a while, under rising fences, by the database clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from gda.store.database import Database
from gda.store.tables import leases

RUN = "run:"
"""Begins the names of leases that are one flow run's sign of life; they are forgotten when it ends."""


@dataclass(frozen=True, slots=True)
class NamedLease:
    """``owner`` may do the work of ``name`` until ``expires_at`` (aware UTC, the database's clock)."""

    name: str
    owner: str
    fence: int
    expires_at: datetime


class Leases:
    """The named leases of one database; rows of lasting names stay, so that fences rise for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, name: str, owner: str, ttl: timedelta, *, seize: bool = False) -> NamedLease | None:
        """Take a lease that nobody holds; None where somebody does.

        Args:
            name: what for.
            owner: who takes it; unique per process and task.
            ttl: how long it lasts without a refresh.
            seize: take it from a holder too, because this is the only instance (GDA_SINGLE_INSTANCE).
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            dialect = sqlite if self._database.is_sqlite else postgresql
            statement = dialect.insert(leases).values(name=name, owner=owner, fence=1, expires_at=now + ttl)
            values = {"owner": owner, "fence": leases.c.fence + 1, "expires_at": now + ttl}
            free = true() if seize else leases.c.expires_at <= now
            row = (
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=["name"], set_=values, where=free).returning(leases)
                )
            ).one_or_none()
        return None if row is None else NamedLease(row.name, row.owner, row.fence, row.expires_at)

    async def refresh(self, lease: NamedLease, ttl: timedelta) -> NamedLease | None:
        """Prolong a lease that is still held; None where it expired or passed to somebody else."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            row = (
                await connection.execute(
                    update(leases)
                    .where(leases.c.name == lease.name, leases.c.fence == lease.fence, leases.c.expires_at > now)
                    .values(expires_at=now + ttl)
                    .returning(leases)
                )
            ).one_or_none()
        return None if row is None else NamedLease(row.name, row.owner, row.fence, row.expires_at)

    async def release(self, lease: NamedLease) -> bool:
        """Let go at once; returns whether it was still held. ``expires_at`` then tells when the work ended."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            mine = (leases.c.name == lease.name, leases.c.fence == lease.fence, leases.c.expires_at > now)
            result = await connection.execute(update(leases).where(*mine).values(expires_at=now))
        return result.rowcount == 1

    async def forget(self, name: str) -> None:
        """Delete the lease of a name that nobody will use again."""
        async with self._database.write() as connection:
            await connection.execute(delete(leases).where(leases.c.name == name))

    async def find(self, name: str) -> NamedLease | None:
        """The lease as it stands, expired ones included; None when nobody ever held it."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(leases).where(leases.c.name == name))).one_or_none()
        return None if row is None else NamedLease(row.name, row.owner, row.fence, row.expires_at)
