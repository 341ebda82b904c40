"""How much there is to do in a scope: what is promised and ready, and schedules whose slots are still to promise."""

from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import CLAIMABLE
from gda.store.conditions import status_is
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
    unpromised = select(func.count()).select_from(due_schedules(scope, now + early).subquery())
    return sum([await connection.scalar(query) or 0 for query in (promised, unpromised)])
