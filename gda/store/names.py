"""Slot names that are taken: an edit may bring a schedule to names under which it was promised before (DESIGN 5)."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.schedule.due import MISSED_AFTER
from gda.store.tables import occurrences

APART = timedelta(days=2)
"""How far an edit can turn the wall's clock back at most, and a little more: the zones' clocks are 26 h apart."""

_INSTANT = occurrences.c.due_at.type
_TAKEN = select(occurrences.c.slot).where(
    # The owner and the kind are asked for because the index of a user's history begins with them.
    occurrences.c.user_id.is_not_distinct_from(bindparam("user")),
    occurrences.c.kind == bindparam("kind"),
    occurrences.c.due_at >= bindparam("since", type_=_INSTANT),
    occurrences.c.schedule_id == bindparam("of"),
    occurrences.c.slot.is_not(None),
)


async def names_taken(connection: AsyncConnection, row: Any, now: datetime) -> frozenset[str]:
    """The names that a schedule's missed slots must leave alone when they are refused together and counted.

    Nothing is asked where no slot was missed, or none since shortly after the last edit: a single slot's row is refused
    by its unique name, and what was promised before the edit has the names of that time.

    Args:
        connection: the promising transaction.
        row: a schedule as ``schedules_with_owner`` gives it, with ``next_due_at``.
        now: the database's instant.
    """
    if row.next_due_at >= min(now - MISSED_AFTER, row.active_from + APART):
        return frozenset()
    asked = {"user": row.user_id, "kind": row.kind, "of": row.id, "since": row.active_from - APART}
    return frozenset((await connection.execute(_TAKEN, asked)).scalars())
