"""Deaths that no hook was told of: those found in recovery, by a process that need not know their kind.

Whoever settles an attempt as dead tells its hooks at once. Where a worker died there is nobody to do that, so the
letter waits here until a process that knows the kind takes the news and tells it.
"""

from sqlalchemy import exists, select, text, update

from gda.lifecycle import Claim, DeadReason, Settlement, Status
from gda.store.claims import OCCURRENCE_COLUMNS, occurrence_from
from gda.store.database import Database
from gda.store.tables import dead_letters, occurrences

MOST = 500
# Spelled out: with a bound value SQLite cannot use the index of the untold.
_UNTOLD = text("gda_dead_letters.told_at IS NULL")
# A join, or DISTINCT, would have SQLite walk through all occurrences and look up a letter for each.
_KINDS = select(occurrences.c.kind).where(occurrences.c.id.in_(select(dead_letters.c.occurrence_id).where(_UNTOLD)))


class Untold:
    """News of deaths in one database, each given away once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def kinds(self) -> list[str]:
        """Of which kinds there is news."""
        async with self._database.read() as connection:
            return sorted(set((await connection.execute(_KINDS)).scalars()))

    async def take(self, kind: str, limit: int = MOST) -> list[tuple[Claim, Settlement]]:
        """Up to ``limit`` deaths of ``kind``, each given to exactly one caller, who tells the kind's hooks of it.

        They count as told from now on: a caller that dies first leaves them untold, and in the inbox all the same.

        Returns:
            The claim as it stood (its owner is gone, so it has none), and what it was settled as.
        """
        own = dead_letters.c.occurrence_id
        of_kind = exists().where(occurrences.c.id == own, occurrences.c.kind == kind)
        wanted = select(own).where(_UNTOLD, of_kind)
        wanted = wanted.order_by(dead_letters.c.created_at).limit(limit)
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                wanted = wanted.with_for_update(of=dead_letters, skip_locked=True)
            now = await self._database.clock.now(connection)
            taken = await connection.execute(
                update(dead_letters)
                .where(own.in_(wanted))
                .values(told_at=now)
                .returning(own, dead_letters.c.reason, dead_letters.c.last_error)
            )
            news = {row.occurrence_id: row for row in taken}
            if not news:
                return []
            rows = await connection.execute(
                select(*OCCURRENCE_COLUMNS, occurrences.c.flow_run_id).where(occurrences.c.id.in_(list(news)))
            )
            return [
                (
                    Claim(occurrence_from(row), owner="", fence=row.fence, flow_run_id=row.flow_run_id, alone=True),
                    _settled(news[row.id].reason, news[row.id].last_error),
                )
                for row in rows
            ]


def _settled(why: str, reason: str) -> Settlement:
    return Settlement(Status.DEAD, "lost", reason=reason, dead_reason=DeadReason(why))
