"""Retention: forget what was settled long ago, in small batches, so that no transaction holds others up."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.store.database import Database
from gda.store.leases import RUN
from gda.store.tables import dead_letters, leases, occurrences, unique_keys

BATCH = 500
_FINISHED = text("gda_occurrences.status IN ('done', 'skipped', 'cancelled', 'discarded')")

_OF_RUNS = leases.c.name.startswith(RUN)
UNUSED = timedelta(days=1)
"""What a flow run left that died goes after this, long after the sweep has closed the run."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were forgotten."""

    occurrences: int = 0
    dead_letters: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(self.occurrences + other.occurrences, self.dead_letters + other.dead_letters)


class Retention:
    """Pruning of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune(self, keep: timedelta, keep_letters: timedelta, *, limit: int = BATCH) -> Pruned:
        """Forget one batch; call again until it finds nothing.

        Args:
            keep: how long settled occurrences stay after their end; their attempts, effects and unique keys go along.
            keep_letters: how long dead letters stay after they were closed.
            limit: most occurrences, and most letters, in this transaction.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            old = (
                select(dead_letters.c.occurrence_id).where(dead_letters.c.closed_at <= now - keep_letters).limit(limit)
            )
            letters = await connection.execute(delete(dead_letters).where(dead_letters.c.occurrence_id.in_(old)))
            await connection.execute(delete(leases).where(_OF_RUNS, leases.c.expires_at <= now - UNUSED))
            finished = (
                select(occurrences.c.id)
                .where(_FINISHED, occurrences.c.finished_at <= now - keep)
                .order_by(occurrences.c.finished_at)
                .limit(limit)
            )
            ids = list((await connection.execute(finished)).scalars())
            return Pruned(await _forget(connection, ids), letters.rowcount)


async def _forget(connection: AsyncConnection, ids: list[str]) -> int:
    if not ids:
        return 0
    await connection.execute(delete(unique_keys).where(unique_keys.c.occurrence_id.in_(ids)))
    return (await connection.execute(delete(occurrences).where(occurrences.c.id.in_(ids)))).rowcount
