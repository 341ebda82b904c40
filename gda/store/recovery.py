"""Recover: what becomes of occurrences whose worker went away, by the process-death rule.

A claim that was not started goes back as if nobody had taken it. One whose body ran is a *suspect*: perhaps it brought
the process down. It runs next alone, so that a second crash is its own doing; that one makes it dead (``poison``).
Neither burns an attempt: what was not its own fault must not count against it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Claim, DeadReason, Status
from gda.store.burial import Death, bury
from gda.store.conditions import status_is
from gda.store.tables import attempts, effects, occurrences

MOST = 500
LATE = "its worker went away; it came back after its lease, and what it wrote then was refused"
POISON = "its worker died twice while it ran, the second time with nothing beside it"

_NOW = bindparam("b_now", type_=occurrences.c.lease_expires_at.type)
_STARTED = and_(attempts.c.occurrence_id == occurrences.c.id, attempts.c.ended_at.is_(None))
_SENDING = exists().where(
    effects.c.occurrence_id == occurrences.c.id, effects.c.state == "intent", effects.c.busy_until > _NOW
)
# Made once, for every claim asks it. SQLite has no row locks, and leaves FOR UPDATE out.
_EXPIRED = (
    select(occurrences.c.id, occurrences.c.kind, attempts.c.alone)
    .select_from(occurrences.outerjoin(attempts, _STARTED))
    .where(status_is(Status.RUNNING), occurrences.c.lease_expires_at <= _NOW, ~_SENDING)
    .order_by(occurrences.c.lease_expires_at)
    .limit(MOST)
    .with_for_update(of=occurrences, skip_locked=True)
)


async def recover(connection: AsyncConnection, now: datetime) -> int:
    """Free up to ``MOST`` occurrences, of whatever kind, whose lease has expired and whose send must have ended.

    Args:
        connection: a writing transaction.
        now: the database's instant.

    Returns:
        How many were freed or found to be poison; ``MOST`` means that there may be more.
    """
    rows = (await connection.execute(_EXPIRED, {"b_now": now})).all()
    if not rows:
        return 0
    ids = [row.id for row in rows]
    await connection.execute(
        update(attempts)
        .where(attempts.c.occurrence_id.in_(ids), attempts.c.ended_at.is_(None))
        .values(ended_at=now, outcome="lost", message="its worker went away; its lease expired")
    )
    poison = [row for row in rows if row.alone]
    await _free(connection, [row.id for row in rows if row.alone is None], now, suspect=False)
    await _free(connection, [row.id for row in rows if row.alone is False], now, suspect=True)
    await _kill(connection, poison, now)
    return len(rows)


async def note_late(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[None]:
    """Write beside the attempts that were given up for lost that their workers came back and were refused."""
    await connection.execute(_LATE, [{"b_id": claim.occurrence.id, "b_fence": claim.fence} for claim in claims])
    return [None for _ in claims]


_LATE = (
    update(attempts)
    .where(
        attempts.c.occurrence_id == bindparam("b_id"),
        attempts.c.fence == bindparam("b_fence"),
        attempts.c.outcome == "lost",
    )
    .values(message=LATE)
)


async def _free(connection: AsyncConnection, ids: Sequence[str], now: datetime, *, suspect: bool) -> None:
    if not ids:
        return
    begun = or_(occurrences.c.started_at.is_not(None), occurrences.c.burnt > 0)
    await connection.execute(
        update(occurrences)
        .where(occurrences.c.id.in_(ids))
        .values(
            status=case((begun, Status.RETRYING), else_=Status.SCHEDULED),
            suspect=literal(True) if suspect else occurrences.c.suspect,
            ready_at=case((occurrences.c.ready_at > now, occurrences.c.ready_at), else_=now),
            lease_owner=None,
            lease_expires_at=None,
        )
    )


async def _kill(connection: AsyncConnection, rows: Sequence[Any], now: datetime) -> None:
    if not rows:
        return
    await connection.execute(
        update(occurrences)
        .where(occurrences.c.id.in_([row.id for row in rows]))
        .values(status=Status.DEAD, reason=POISON, finished_at=now, lease_owner=None, lease_expires_at=None)
    )
    await bury(connection, [Death(row.id, row.kind, DeadReason.POISON, POISON) for row in rows], now)
