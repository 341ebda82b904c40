"""How much there is to do in a scope, and when: what is promised, and schedules whose slots are still to promise."""

from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import CLAIMABLE, Status
from gda.store.conditions import status_is
from gda.store.overlaps import FREE
from gda.store.scopes import Scope, due_schedules, occurrence_condition
from gda.store.tables import occurrences


async def backlog(connection: AsyncConnection, scope: Scope, *, now: datetime, early: timedelta) -> int:
    """Count what a wake-up for ``scope`` would find to do.

    Args:
        connection: a reading transaction.
        scope: where to look.
        now: the database's instant.
        early: how long before its time a slot is promised already.

    Returns:
        Occurrences that are ready, and schedules with a slot that is due and has no row.
    """
    ready = and_(status_is(*CLAIMABLE), occurrences.c.ready_at <= now)
    promised = select(func.count()).where(occurrence_condition(scope), ready)
    unpromised = select(func.count()).select_from(due_schedules(scope).subquery())
    return sum([await connection.scalar(query, {"until": now + early}) or 0 for query in (promised, unpromised)])


async def next_ready(connection: AsyncConnection, scope: Scope) -> datetime | None:
    """When the earliest promised occurrence of ``scope`` becomes ready; None when none waits.

    Only fresh ones count: what waits for another attempt is served by a later wake-up, not slept for in a process. Nor
    does what waits for another of its schedule: whoever performs that one takes it.
    """
    instant: datetime | None = (await connection.execute(_next_ready(scope))).scalar_one_or_none()
    return instant


@lru_cache(maxsize=256)
def _next_ready(scope: Scope) -> Select[tuple[datetime]]:
    return (
        select(occurrences.c.ready_at)
        .where(occurrence_condition(scope), status_is(*CLAIMABLE), occurrences.c.status == Status.SCHEDULED, FREE)
        .order_by(occurrences.c.ready_at)
        .limit(1)
    )
