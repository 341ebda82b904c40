"""What quiet hours hold: a row for each user and cause, and one occurrence that tells all of a user's at their end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Claim, Status
from gda.store.conditions import IDS, Among
from gda.store.database import Database
from gda.store.group_commit import GroupCommit
from gda.store.notify_tables import held_notices
from gda.store.promises import Defaults, Waker, insert_new, occurrence_id
from gda.store.tables import users

USERS_AT_ONCE = 500
KEPT = timedelta(days=7)
"""A held notice that was told stays so long, so that a repetition of its cause finds it."""
_WAITING = text("gda_held_notices.occurrence_id IS NULL")


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """A notice that waits until ``release_at`` (aware), when its user's quiet hours end."""

    user_id: str
    cause: str
    title: str
    body: str
    release_at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    """As what held notices are released: a kind, its queue, and what its occurrences get."""

    kind: str
    queue: str
    defaults: Defaults


class HeldNotices:
    """The held notices of one database."""

    def __init__(self, database: Database, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._database = database
        self._write = writes
        self._read = reads

    async def hold(self, notice: HeldNotice) -> None:
        """Keep a notice for later; nothing where its cause is held already."""
        await self._write(_hold, notice)

    async def release(self, rules: ReleaseRules, waker: Waker, *, limit: int = USERS_AT_ONCE) -> list[str]:
        """Give each user whose quiet hours are over one occurrence for all that is held; returns the new ones' ids.

        Users who are paused keep theirs until they are not. Call again until nothing is found.
        """
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            if (await connection.execute(_OVER, {"b_now": now, "b_most": 1})).first() is None:
                return []
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            rows = (await connection.execute(_TAKING, {"b_now": now, "b_most": limit})).all()
            wanted = {row.user_id: _occurrence(row, rules, waker, now) for row in rows}
            new = await insert_new(connection, list(wanted.values()))
            if wanted:
                await connection.execute(
                    _GIVE, [{"b_user": user, "b_id": row["id"], "b_now": now} for user, row in wanted.items()]
                )
        return sorted(new)

    async def of(self, claim: Claim) -> list[HeldNotice]:
        """What an occurrence shall tell, the oldest first; empty when it was told."""
        return await self._read(_of, claim)

    async def told(self, claim: Claim) -> None:
        """Write that what an occurrence had to tell was told."""
        await self._write(_told, claim)

    async def waiting(self, user_id: str) -> list[HeldNotice]:
        """What waits for the end of a user's quiet hours, the oldest first."""
        query = select(held_notices).where(held_notices.c.user_id == user_id, held_notices.c.told_at.is_(None))
        async with self._database.read() as connection:
            return [_notice(row) for row in await connection.execute(query.order_by(*_OLDEST_FIRST))]


_OLDEST_FIRST = (held_notices.c.created_at, held_notices.c.cause)


# Users with notices whose quiet hours are over, with their timezone and when that was.
_OVER = (
    select(held_notices.c.user_id, held_notices.c.release_at, users.c.timezone)
    .join(users, users.c.id == held_notices.c.user_id)
    .where(
        _WAITING,
        held_notices.c.release_at <= bindparam("b_now", type_=held_notices.c.release_at.type),
        users.c.status != "paused",
    )
    .order_by(held_notices.c.release_at)
    .limit(bindparam("b_most", type_=Integer))
)
# SQLite has no row locks, and leaves FOR UPDATE out.
_TAKING = _OVER.with_for_update(of=held_notices, skip_locked=True)


def _occurrence(row: Any, rules: ReleaseRules, waker: Waker, now: datetime) -> dict[str, Any]:
    key = f"held/{row.user_id}/{row.release_at:%Y-%m-%dT%H:%M:%S.%fZ}/{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    return {
        "id": occurrence_id(rules.kind, key),
        "kind": rules.kind,
        "dedup_key": key,
        "user_id": row.user_id,
        "timezone": row.timezone,
        "due_at": row.release_at,
        "ready_at": row.release_at,
        "payload": {"what": "held"},
        "status": Status.SCHEDULED,
        "queue": rules.queue,
        "timeout_seconds": rules.defaults.timeout_seconds,
        "max_attempts": rules.defaults.max_attempts,
        "extra": True,
        "woken_by": waker.woken_by,
        "flow_run_id": waker.flow_run_id,
        "created_at": now,
    }


_GIVE = (
    update(held_notices)
    .where(_WAITING, held_notices.c.user_id == bindparam("b_user"), held_notices.c.release_at <= bindparam("b_now"))
    .values(occurrence_id=bindparam("b_id"))
)
_OF = (
    select(held_notices)
    .where(Among(held_notices.c.occurrence_id, IDS), held_notices.c.told_at.is_(None))
    .order_by(*_OLDEST_FIRST)
)
_TOLD = (
    update(held_notices)
    .where(Among(held_notices.c.occurrence_id, IDS))
    .values(told_at=bindparam("b_now", type_=held_notices.c.told_at.type))
)


async def _hold(connection: AsyncConnection, several: Sequence[HeldNotice], now: datetime) -> list[Exception | None]:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [
        {
            "user_id": one.user_id,
            "cause": one.cause,
            "title": one.title,
            "body": one.body,
            "release_at": one.release_at,
            "created_at": now,
        }
        for one in several
    ]
    await connection.execute(dialect.insert(held_notices).on_conflict_do_nothing(), rows)
    return [None for _ in several]


async def _of(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[list[HeldNotice]]:
    found: dict[str, list[HeldNotice]] = {claim.occurrence.id: [] for claim in claims}
    for row in await connection.execute(_OF, {"ids": list(found)}):
        found[row.occurrence_id].append(_notice(row))
    return [found[claim.occurrence.id] for claim in claims]


async def _told(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[Exception | None]:
    await connection.execute(_TOLD, {"ids": [claim.occurrence.id for claim in claims], "b_now": now})
    people = {"ids": [claim.occurrence.user_id for claim in claims]}
    old = (Among(held_notices.c.user_id, IDS), held_notices.c.told_at < now - KEPT)
    await connection.execute(delete(held_notices).where(*old), people)
    return [None for _ in claims]


def _notice(row: Any) -> HeldNotice:
    return HeldNotice(row.user_id, row.cause, row.title, row.body, row.release_at)
