"""Renamed kinds: what was written under an earlier name is written over to the present one, all of it at once.

The ids of rows stay, and with them effects, cursors and Message-IDs; so does the rest of an occurrence's name. The
unique name therefore goes on saying that a slot was promised, whatever its kind was called then. Schedules are written
over first: from then on a process of the release before has none to promise for.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Status
from gda.store.database import Database
from gda.store.tables import occurrences, schedules, unique_keys

WAITING = (Status.SCHEDULED, Status.RETRYING, Status.HELD)
TABLES = (schedules, occurrences, unique_keys)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('gda renames a kind'))")


class Renames:
    """Earlier names of kinds in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stored(self) -> set[str]:
        """The kinds under which anything is stored, by whatever name."""
        found: set[str] = set()
        async with self._database.read() as connection:
            for table in TABLES:
                kind: str | None = ""
                # One step through an index for each kind: occurrences may be millions.
                while (
                    kind := await connection.scalar(select(func.min(table.c.kind)).where(table.c.kind > kind))
                ) is not None:
                    found.add(kind)
        return found

    async def adopt(self, kind: str, earlier: Sequence[str]) -> bool:
        """Write over to ``kind`` whatever is stored under its ``earlier`` names; whether there was anything.

        Where both names have a row for one slot, as two releases at work at once can make them, the one that was begun
        stands, else the present name's, and the other is skipped.
        """
        if not earlier or not await self._any(earlier):
            return False
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(_LOCK)
            now = await self._database.clock.now(connection)
            for name in earlier:
                await _adopt_schedules(connection, kind, name)
                await _adopt_occurrences(connection, kind, name, now)
                await _adopt_keys(connection, kind, name)
        return True

    async def _any(self, names: Sequence[str]) -> bool:
        query = select(or_(*(exists().where(table.c.kind.in_(names)) for table in TABLES)))
        async with self._database.read() as connection:
            return bool(await connection.scalar(query))


async def _adopt_schedules(connection: AsyncConnection, kind: str, name: str) -> None:
    other = schedules.alias()
    owner = func.coalesce(other.c.user_id, "") == func.coalesce(schedules.c.user_id, "")
    # A schedule made under the present name is the user's later word on the one that it was called before.
    superseded = exists().where(other.c.kind == kind, owner, other.c.name == schedules.c.name)
    await connection.execute(delete(schedules).where(schedules.c.kind == name, superseded))
    await connection.execute(update(schedules).where(schedules.c.kind == name).values(kind=kind))


async def _adopt_occurrences(connection: AsyncConnection, kind: str, name: str, now: datetime) -> None:
    begun = _twin(name, ~_waits)
    await _skip(connection, f"its slot is served under the earlier name {name}", now, occurrences.c.kind == kind, begun)
    mine = occurrences.c.kind == name
    await _skip(connection, f"its slot is served under the present name {kind}", now, mine, _twin(kind))
    key = occurrences.c.dedup_key + literal(f" as {name}")
    await connection.execute(update(occurrences).where(mine, _twin(kind)).values(kind=kind, dedup_key=key))
    await connection.execute(update(occurrences).where(mine).values(kind=kind))


async def _adopt_keys(connection: AsyncConnection, kind: str, name: str) -> None:
    other = unique_keys.alias()
    taken = exists().where(other.c.kind == kind, other.c.owner == unique_keys.c.owner, other.c.key == unique_keys.c.key)
    await connection.execute(delete(unique_keys).where(unique_keys.c.kind == name, taken))
    await connection.execute(update(unique_keys).where(unique_keys.c.kind == name).values(kind=kind))


_other = occurrences.alias()
_waits = _other.c.status.in_(WAITING)


def _twin(kind: str, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether ``kind`` has a row for the same slot."""
    return exists().where(_other.c.kind == kind, _other.c.dedup_key == occurrences.c.dedup_key, *more)


async def _skip(connection: AsyncConnection, reason: str, now: datetime, *which: ColumnElement[Any]) -> None:
    await connection.execute(
        update(occurrences)
        .where(*which, occurrences.c.status.in_(WAITING))
        .values(status=Status.SKIPPED, reason=reason, finished_at=now)
    )
