"""Dead letters: the inbox of occurrences that gave up, and its two exits, replay and discard.

A replay gives the same row a new life, so its unique name goes on guarding against a second occurrence, its effect
journal against a second effect, and its attempts are counted from nothing but numbered on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Status
from gda.store.database import Database
from gda.store.promises import AGE_LIMIT
from gda.store.tables import dead_letters, occurrences

REPLAYED = "replayed"
DISCARDED = "discarded"
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter with where it came from.

    ``replays`` lists what people did with it as ``{"at": …, "by": …, "as": "replayed" | "discarded"}``.
    """

    occurrence_id: str
    kind: str
    user_id: str | None
    schedule_id: str | None
    slot: str | None
    queue: str
    reason: str
    first_error: str
    last_error: str
    error_class: str
    fingerprint: str
    flow_run_id: str | None
    created_at: datetime
    closed_at: datetime | None
    closed_as: str | None
    replays: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Group:
    """Open letters of one cause: the same kind, reason, error class and innermost place."""

    fingerprint: str
    kind: str
    reason: str
    error_class: str
    last_error: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters are meant; what is not given does not narrow. Without ``closed`` only open ones.

    ``ids`` are as many as people name, a few thousand at most: databases limit the values of one statement.
    """

    ids: tuple[str, ...] = ()
    kind: str | None = None
    user_id: str | None = None
    reason: str | None = None
    fingerprint: str | None = None
    closed: bool = False


class DeadLetters:
    """The dead letters of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, which: Which, *, limit: int = 50, oldest_first: bool = False) -> list[Letter]:
        """The letters meant, newest first, or in the order in which they would be replayed or discarded."""
        age = dead_letters.c.created_at if oldest_first else dead_letters.c.created_at.desc()
        query = _letters(which).order_by(age, dead_letters.c.occurrence_id).limit(limit)
        async with self._database.read() as connection:
            return [_letter(row) for row in await connection.execute(query)]

    async def groups(self, which: Which) -> list[Group]:
        """The letters meant by cause, the most frequent first."""
        table = _letters(which).subquery()
        query = (
            select(
                *(table.c.fingerprint, table.c.kind, table.c.reason, table.c.error_class),
                func.max(table.c.last_error).label("last_error"),
                func.count().label("count"),
                func.min(table.c.created_at).label("first_at"),
                func.max(table.c.created_at).label("last_at"),
            )
            .group_by(table.c.fingerprint, table.c.kind, table.c.reason, table.c.error_class)
            .order_by(func.count().desc(), table.c.fingerprint)
        )
        async with self._database.read() as connection:
            return [Group(**row._mapping) for row in await connection.execute(query)]

    async def replay(
        self,
        which: Which,
        *,
        by: str,
        limit: int = MOST,
        per_minute: int | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> list[Letter]:
        """Give open letters' occurrences a new life, oldest first.

        Args:
            which: the letters meant; closed ones among them stay as they are.
            by: who asked, for the record.
            limit: most letters.
            per_minute: at most so many become ready in each minute; None for all at once.
            payload: replaces the payload of each.

        Returns:
            The letters that were replayed; those closed before are not among them.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            found = await _open(connection, which, limit)
            step = timedelta(minutes=1) / per_minute if per_minute else timedelta(0)
            if found:
                statement = _REVIVE if payload is None else _REVIVE.values(payload=dict(payload))
                ready = [now + step * number for number in range(len(found))]
                await connection.execute(
                    statement,
                    [
                        {"b_id": letter.occurrence_id, "b_ready": at, "b_expires": at + AGE_LIMIT}
                        for letter, at in zip(found, ready, strict=True)
                    ],
                )
                await connection.execute(_CLOSE, [_closing(letter, REPLAYED, by, now) for letter in found])
        return found

    async def discard(self, which: Which, *, by: str, limit: int = MOST) -> list[Letter]:
        """Close open letters for good; returns those that were open."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            found = await _open(connection, which, limit)
            if found:
                ids = [{"b_id": letter.occurrence_id} for letter in found]
                await connection.execute(_DISCARD, ids)
                await connection.execute(_CLOSE, [_closing(letter, DISCARDED, by, now) for letter in found])
        return found

    async def purge(self, before: datetime) -> int:
        """Delete letters that were closed before ``before`` (aware); returns how many."""
        async with self._database.write() as connection:
            result = await connection.execute(
                dead_letters.delete().where(dead_letters.c.closed_at.is_not(None), dead_letters.c.closed_at < before)
            )
        return result.rowcount

    async def unannounced(self, limit: int = 500) -> list[Letter]:
        """Up to ``limit`` open letters nobody has been told of; each is given to exactly one caller, who tells.

        They count as told from now on: a caller that dies first leaves them untold, and in the inbox all the same.
        """
        own = dead_letters.c.occurrence_id
        silent = (
            select(own).where(dead_letters.c.closed_at.is_(None), dead_letters.c.announced_at.is_(None)).limit(limit)
        )
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                silent = silent.with_for_update(skip_locked=True)
            now = await self._database.clock.now(connection)
            told = await connection.execute(
                update(dead_letters).where(own.in_(silent)).values(announced_at=now).returning(own)
            )
            ids = tuple(told.scalars())
            if not ids:
                return []
            return [_letter(row) for row in await connection.execute(_letters(Which(ids=ids)))]


_REVIVE = (
    update(occurrences)
    .where(occurrences.c.id == bindparam("b_id"), occurrences.c.status == Status.DEAD)
    .values(
        status=Status.SCHEDULED,
        burnt=0,
        suspect=False,
        reason="",
        woken_by="replay",
        ready_at=bindparam("b_ready"),
        expires_at=bindparam("b_expires"),
        finished_at=None,
    )
)

_DISCARD = (
    update(occurrences)
    .where(occurrences.c.id == bindparam("b_id"), occurrences.c.status == Status.DEAD)
    .values(status=Status.DISCARDED)
)

_CLOSE = (
    update(dead_letters)
    .where(dead_letters.c.occurrence_id == bindparam("b_id"))
    .values(closed_at=bindparam("b_now"), closed_as=bindparam("b_as"), replays=bindparam("b_replays"))
)


def _closing(letter: Letter, closed_as: str, by: str, now: datetime) -> dict[str, Any]:
    entry = {"at": now.isoformat(), "by": by, "as": closed_as}
    return {"b_id": letter.occurrence_id, "b_now": now, "b_as": closed_as, "b_replays": [*letter.replays, entry]}


async def _open(connection: AsyncConnection, which: Which, limit: int) -> list[Letter]:
    query = _letters(which).where(dead_letters.c.closed_at.is_(None)).order_by(dead_letters.c.created_at).limit(limit)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(of=dead_letters, skip_locked=True)
    return [_letter(row) for row in await connection.execute(query)]


def _letters(which: Which) -> Select[Any]:
    own = [column for column in dead_letters.columns if column.name != "announced_at"]
    provenance = [occurrences.c[name] for name in ("kind", "user_id", "schedule_id", "slot", "queue", "flow_run_id")]
    joined = dead_letters.join(occurrences, occurrences.c.id == dead_letters.c.occurrence_id)
    return select(*own, *provenance).select_from(joined).where(_condition(which))


def _condition(which: Which) -> ColumnElement[bool]:
    wanted: dict[ColumnElement[Any], str | None] = {
        occurrences.c.kind: which.kind,
        occurrences.c.user_id: which.user_id,
        dead_letters.c.reason: which.reason,
        dead_letters.c.fingerprint: which.fingerprint,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    if which.ids:
        conditions.append(dead_letters.c.occurrence_id.in_(which.ids))
    if not which.closed:
        conditions.append(dead_letters.c.closed_at.is_(None))
    return and_(True, *conditions)


def _letter(row: Any) -> Letter:
    return Letter(**{field.name: getattr(row, field.name) for field in fields(Letter)})
