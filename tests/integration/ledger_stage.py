"""Where the ledger is played against its model: one database, emptied before each sequence, and all that it says."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from sqlalchemy import select, text

from gda.settings import Settings
from gda.store import Store, make_store, open_database
from gda.store.tables import attempts, dead_letters, effects, mail_cursors, occurrences, schedules
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest
from tests.integration.ledger_model import LEASE

T = TypeVar("T")


class NoJitter(random.Random):
    """Chance that adds nothing to a wait, so that the model can say it."""

    def random(self) -> float:
        """The lower end."""
        return 0.0


class Stage:
    """A database with a few users on a virtual clock, driven from code that is not asynchronous."""

    def __init__(self, url: str, users: tuple[str, ...]) -> None:
        self._loop = asyncio.Runner()
        self.clock = VirtualClock(MORNING)
        self.do(self._settle_in(url, users))
        self._database = open_database(url, clock=self.clock)

    async def _settle_in(self, url: str, users: tuple[str, ...]) -> None:
        async with a_store(url, clock=self.clock) as store:
            for user in users:
                await a_user_with_digest(store, user)
            if not store.database.is_sqlite:
                async with store.database.write() as connection:  # A vacuum in between would move the rows as well.
                    await connection.execute(text("ALTER TABLE gda_occurrences SET (autovacuum_enabled = off)"))

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for a call of the store."""
        return self._loop.run(call)

    def close(self) -> None:
        """Give the connections back."""
        self.do(self._database.close())
        self._loop.close()

    def emptied(self) -> Store:
        """The store with nothing promised, in the morning."""
        self.clock.instant = MORNING
        self.do(self._empty())
        return make_store(self._database, Settings(lease_seconds=int(LEASE.total_seconds())))

    async def _empty(self) -> None:
        # Attempts, letters and effects go with their occurrence. PostgreSQL gives back rows that are ready at the same
        # instant as they lie in their file, so the file must begin anew for a sequence to be repeatable.
        empty = "DELETE FROM {}" if self._database.is_sqlite else "TRUNCATE {} CASCADE"
        async with self._database.write() as connection:
            for table in (occurrences, mail_cursors):
                await connection.execute(text(empty.format(table.name)))

    def read(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """All that the ledger says, in the model's words: each occurrence, and each user's cursor."""
        return self.do(self._read())

    async def _read(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(occurrences))).all()
            tries = (await connection.execute(select(attempts.c.occurrence_id, attempts.c.ended_at))).all()
            letters = {row.occurrence_id: row for row in await connection.execute(select(dead_letters))}
            steps = {row.occurrence_id: row.state for row in await connection.execute(select(effects))}
            cursors = await connection.execute(
                select(schedules.c.user_id, mail_cursors.c.up_to).join(
                    mail_cursors, mail_cursors.c.schedule_id == schedules.c.id
                )
            )
            ends = {row.user_id: row.up_to for row in cursors}
        all_tries = Counter(one.occurrence_id for one in tries)
        unended = Counter(one.occurrence_id for one in tries if one.ended_at is None)
        return {
            row.id: {
                "status": row.status,
                "fence": row.fence,
                "burnt": row.burnt,
                "ready": row.ready_at,
                "owner": row.lease_owner,
                "lease": row.lease_expires_at,
                "suspect": row.suspect and row.status != "dead",
                "attempts": all_tries[row.id],
                "unended": unended[row.id],
                "letter": (letters[row.id].closed_as or "open") if row.id in letters else None,
                "effect": steps.get(row.id),
                "finished": row.finished_at is not None,
            }
            for row in rows
        }, ends
