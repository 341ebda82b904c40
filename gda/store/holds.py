"""Hold, release, expire, cancel: what people and causes do to occurrences that nobody is performing."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Status
from gda.store.conditions import status_is
from gda.store.tables import occurrences

WAITING = (Status.SCHEDULED, Status.RETRYING)
CANCELLABLE = (*WAITING, Status.HELD)


async def hold(
    connection: AsyncConnection, cause: str, *, user_id: str, kinds: Collection[str] | None = None
) -> list[str]:
    """Hold what waits for ``user_id`` (of ``kinds``; None: all) until ``cause`` clears; returns the ids."""
    mine = and_(occurrences.c.user_id == user_id, occurrences.c.status.in_(WAITING))
    if kinds is not None:
        mine = and_(mine, occurrences.c.kind.in_(kinds))
    rows = await connection.execute(
        update(occurrences).where(mine).values(status=Status.HELD, reason=cause).returning(occurrences.c.id)
    )
    return [row.id for row in rows]


async def release(
    connection: AsyncConnection, cause: str, now: datetime, *, user_id: str | None = None
) -> tuple[list[str], list[str]]:
    """Let go what is held for ``cause`` (of one user, where given).

    Returns:
        Ids of those that are ready now, and of those that have lost their value meanwhile and are skipped.
    """
    held = and_(status_is(Status.HELD), occurrences.c.reason == cause)
    if user_id is not None:
        held = and_(held, occurrences.c.user_id == user_id)
    stale = [row.id for row in await connection.execute(_EXPIRE.where(held), {"b_now": now})]
    rows = await connection.execute(
        update(occurrences)
        .where(held)
        .values(status=Status.SCHEDULED, reason="", ready_at=now)
        .returning(occurrences.c.id)
    )
    return [row.id for row in rows], stale


async def expire_held(connection: AsyncConnection, now: datetime) -> list[str]:
    """Skip what has been held past its value; returns the ids."""
    return [row.id for row in await connection.execute(_EXPIRE, {"b_now": now})]


async def cancel(connection: AsyncConnection, ids: Sequence[str], reason: str, now: datetime) -> list[str]:
    """Cancel what nobody is performing and what has not ended; returns the ids that were."""
    rows = await connection.execute(
        update(occurrences)
        .where(occurrences.c.id.in_(ids), occurrences.c.status.in_(CANCELLABLE))
        .values(status=Status.CANCELLED, reason=reason, finished_at=now)
        .returning(occurrences.c.id)
    )
    return [row.id for row in rows]


_EXPIRE = (
    update(occurrences)
    .where(status_is(Status.HELD), occurrences.c.expires_at <= bindparam("b_now", type_=occurrences.c.expires_at.type))
    .values(
        status=Status.SKIPPED,
        reason="held until it was no longer worth doing: " + occurrences.c.reason,
        finished_at=bindparam("b_now", type_=occurrences.c.finished_at.type),
    )
    .returning(occurrences.c.id)
)
