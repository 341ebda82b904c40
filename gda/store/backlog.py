"""How much there is to do in a scope: what is promised and ready, and schedules whose slots are still to promise."""

from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import CLAIMABLE, Status
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
        Occurrences that are ready or abandoned, and schedules with a slot that is due and has no row.
    """
    ready = and_(occurrences.c.status.in_(CLAIMABLE), occurrences.c.ready_at <= now)
    abandoned = and_(occurrences.c.status == Status.RUNNING, occurrences.c.lease_expires_at <= now)
    promised = select(func.count()).where(occurrence_condition(scope), or_(ready, abandoned))
    unpromised = select(func.count()).select_from(due_schedules(scope, now + early).subquery())
    return sum([await connection.scalar(query) or 0 for query in (promised, unpromised)])
