"""Two slots of a schedule never run at once: the later one waits for the earlier, or is refused (DESIGN 5).

Occurrences beside the schedule (``extra``) neither wait nor make others wait.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, bindparam, case, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import CLAIMABLE, Status
from gda.schedule.overlap import Overlap, Run
from gda.store.conditions import status_is
from gda.store.tables import occurrences

LONGEST = timedelta(days=1)
"""How long before a slot the run that covers it was due at most: no attempt is made after a day (DESIGN 4)."""

_sibling = occurrences.alias("sibling")
_running = (
    select(_sibling.c.id)
    # Spelled as the condition of the unique index over running ones is, so that it answers.
    .where(
        _sibling.c.schedule_id == occurrences.c.schedule_id, text("sibling.status = 'running' AND NOT sibling.extra")
    )
    .correlate(occurrences)
    .exists()
)
FREE: ColumnElement[bool] = or_(occurrences.c.schedule_id.is_(None), occurrences.c.extra, ~_running)
"""The occurrences that no running one of their schedule makes wait."""


def running_beside(row: Any) -> Select[tuple[str | None]]:
    """The slot of the schedule of ``row`` (an occurrence) that runs, where that makes the row wait."""
    waits = row.status in CLAIMABLE and not row.extra
    return select(occurrences.c.slot).where(
        occurrences.c.schedule_id == (row.schedule_id if waits else None),
        status_is(Status.RUNNING),
        ~occurrences.c.extra,
    )


def first_of_each_schedule(wanted: CTE) -> Select[tuple[str]]:
    """The ids among ``wanted`` (with schedule_id, extra and due_at), of each schedule the earliest slot alone."""
    alone = or_(wanted.c.schedule_id.is_(None), wanted.c.extra)
    group = case((alone, wanted.c.id), else_=wanted.c.schedule_id)
    turn = func.row_number().over(partition_by=group, order_by=[wanted.c.due_at, wanted.c.id])
    turns = select(wanted.c.id, turn.label("turn")).subquery("turns")
    return select(turns.c.id).where(turns.c.turn == 1)


_runs = (
    select(occurrences.c.slot, occurrences.c.started_at, occurrences.c.finished_at)
    .where(
        # The owner and the kind are asked for because the index of a user's history begins with them.
        occurrences.c.user_id.is_not_distinct_from(bindparam("user")),
        occurrences.c.kind == bindparam("kind"),
        occurrences.c.due_at >= bindparam("since"),
        occurrences.c.schedule_id == bindparam("of"),
        ~occurrences.c.extra,
        occurrences.c.started_at.is_not(None),
        or_(occurrences.c.finished_at.is_not(None), occurrences.c.status == Status.RUNNING),
    )
    .order_by(occurrences.c.due_at)
)


async def runs_beside(connection: AsyncConnection, rows: Sequence[Any], now: datetime) -> Mapping[str, list[Run]]:
    """How the schedules among ``rows`` that skip what overlaps were performed lately, by schedule.

    Args:
        connection: the promising transaction.
        rows: schedules as ``schedules_with_owner`` gives them.
        now: the database's instant.
    """
    found: dict[str, list[Run]] = defaultdict(list)
    for row in rows:
        if row.overlap == Overlap.SKIP:
            since = min(row.next_due_at, now) - LONGEST
            asked = {"user": row.user_id, "kind": row.kind, "of": row.id, "since": since}
            for run in await connection.execute(_runs, asked):
                found[row.id].append(Run(run.slot, run.started_at, run.finished_at))
    return found
