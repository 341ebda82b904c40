"""Enqueue: rows for work without a schedule, in one batched insert; unique keys are decided in its transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import AlreadyExists
from gda.lifecycle import CLAIMABLE, Status
from gda.store.database import Database
from gda.store.promises import Waker, insert_new, occurrence_id
from gda.store.renames import Renames
from gda.store.tables import occurrences, unique_keys
from gda.store.upserts import upsert
from gda.store.users import require_users

UNSETTLED = (Status.SCHEDULED, Status.RUNNING, Status.RETRYING, Status.HELD, Status.DEAD)
"""What blocks a unique key unless told otherwise; a dead one too, since a replay would make it a second."""
CHUNK = 500
MUTABLE = ("payload", "metadata", "queue", "priority", "timeout_seconds", "max_attempts", "due_at", "ready_at")

KeyName = tuple[str, str, str]


class OnConflict(StrEnum):
    """What enqueueing does where the unique key is taken."""

    REJECT = "reject"
    KEEP = "keep"
    REPLACE = "replace"
    """Give the waiting occurrence the new values; one that no longer waits is kept as it is."""


@dataclass(frozen=True, slots=True)
class Unique:
    """At most one occurrence of (kind, user, key) while it is in ``statuses``, for ``period`` (None: without end)."""

    key: str
    on_conflict: OnConflict = OnConflict.REJECT
    statuses: tuple[Status, ...] = UNSETTLED
    period: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One occurrence to insert, all checked; ``at`` (aware) wins over ``delay``, and neither means now."""

    kind: str
    payload: dict[str, Any] | None
    user_id: str | None
    queue: str
    priority: int
    timeout_seconds: int
    max_attempts: int
    metadata: dict[str, str] | None = None
    at: datetime | None = None
    delay: timedelta = timedelta(0)
    unique: Unique | None = None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of one item: its occurrence, and ``new``, ``kept`` or ``replaced``."""

    occurrence_id: str
    what: str


class Queue:
    """The unscheduled work of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def adopt(self, kind: str, earlier: Sequence[str]) -> None:
        """Let unique keys that were taken under a kind's earlier names count under its present one."""
        await Renames(self._database).adopt(kind, earlier)

    async def add(self, items: Sequence[Item], waker: Waker, *, dry_run: bool = False) -> list[Enqueued]:
        """Insert all of ``items`` in one transaction, or none; ``dry_run`` undoes it, and only the answers remain.

        Raises:
            AlreadyExists: a taken key rejects.
            UnknownUser: an item is somebody's who does not exist.
        """
        async with self._database.write() as connection:
            await require_users(connection, {item.user_id for item in items if item.user_id is not None})
            now = await self._database.clock.now(connection)
            taken = await _reserve(connection, items, now)
            rows: dict[str, dict[str, Any]] = {}
            results = [await _add(connection, item, _row(item, now, waker), rows, taken) for item in items]
            new = list(rows.values())
            for start in range(0, len(new), CHUNK):
                await insert_new(connection, new[start : start + CHUNK])
            await _write_keys(connection, items, results, now)
            if dry_run:
                await connection.rollback()
        return results


def _name(item: Item) -> KeyName | None:
    return (item.kind, item.user_id or "", item.unique.key) if item.unique else None


async def _reserve(connection: AsyncConnection, items: Sequence[Item], now: datetime) -> dict[KeyName, tuple[str, str]]:
    """Lock the keys of ``items`` against other enqueuers; returns who holds the taken ones, as (id, status)."""
    wanted = {name: item.unique for item in items if item.unique and (name := _name(item))}
    names = sorted(wanted)
    taken: dict[KeyName, tuple[str, str]] = {}
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        # Inserting first makes a concurrent enqueuer of the same new key wait until this transaction ends.
        rows: list[dict[str, Any]] = [
            {"kind": kind, "owner": owner, "key": key, "occurrence_id": "", "statuses": [], "until": None}
            for kind, owner, key in chunk
        ]
        await connection.execute(dialect.insert(unique_keys).on_conflict_do_nothing(), rows)
        taken |= await _holders(connection, chunk, now)
    return taken


async def _holders(
    connection: AsyncConnection, names: Sequence[KeyName], now: datetime
) -> Mapping[KeyName, tuple[str, str]]:
    keys = unique_keys.c
    query = (
        select(keys.kind, keys.owner, keys.key, keys.statuses, keys.until, occurrences.c.id, occurrences.c.status)
        .join(occurrences, occurrences.c.id == keys.occurrence_id)
        .where(tuple_(keys.kind, keys.owner, keys.key).in_(list(names)))
        .order_by(keys.kind, keys.owner, keys.key)
    )
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    return {
        (row.kind, row.owner, row.key): (row.id, row.status)
        for row in await connection.execute(query)
        if row.status in row.statuses and (row.until is None or row.until > now)
    }


async def _add(
    connection: AsyncConnection,
    item: Item,
    row: dict[str, Any],
    rows: dict[str, dict[str, Any]],
    taken: dict[KeyName, tuple[str, str]],
) -> Enqueued:
    name = _name(item)
    if item.unique is None or name is None or name not in taken:
        rows[row["id"]] = row
        if name is not None:
            taken[name] = (row["id"], Status.SCHEDULED)
        return Enqueued(row["id"], "new")
    holder, status = taken[name]
    if item.unique.on_conflict is OnConflict.REJECT:
        raise AlreadyExists(
            f"unique key {item.unique.key!r} of kind {item.kind} is taken by occurrence {holder}, which is {status}: "
            "wait until it has ended, or enqueue with the policy keep or replace"
        )
    if item.unique.on_conflict is OnConflict.KEEP or status not in CLAIMABLE:
        return Enqueued(holder, "kept")
    values = {column: row[column] for column in MUTABLE}
    if holder in rows:
        rows[holder] |= values
        return Enqueued(holder, "replaced")
    changed = await connection.execute(
        update(occurrences).where(occurrences.c.id == holder, occurrences.c.status.in_(CLAIMABLE)).values(**values)
    )
    return Enqueued(holder, "replaced" if changed.rowcount else "kept")


def _row(item: Item, now: datetime, waker: Waker) -> dict[str, Any]:
    key = f"job/{uuid.uuid4()}"
    due_at = item.at or now + item.delay
    return {
        "id": occurrence_id(item.kind, key),
        "kind": item.kind,
        "dedup_key": key,
        "user_id": item.user_id,
        "due_at": due_at,
        "ready_at": due_at,
        "payload": item.payload,
        "metadata": item.metadata,
        "status": Status.SCHEDULED,
        "queue": item.queue,
        "priority": item.priority,
        "timeout_seconds": item.timeout_seconds,
        "max_attempts": item.max_attempts,
        "extra": True,
        "woken_by": waker.woken_by,
        "flow_run_id": waker.flow_run_id,
        "created_at": now,
    }


async def _write_keys(
    connection: AsyncConnection, items: Sequence[Item], results: Sequence[Enqueued], now: datetime
) -> None:
    rows = [
        {
            "kind": item.kind,
            "owner": item.user_id or "",
            "key": item.unique.key,
            "occurrence_id": result.occurrence_id,
            "statuses": list(item.unique.statuses),
            "until": now + item.unique.period if item.unique.period else None,
        }
        for item, result in zip(items, results, strict=True)
        if item.unique and result.what == "new"
    ]
    if rows:
        await connection.execute(upsert(connection, unique_keys), rows)
