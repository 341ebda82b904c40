"""What a person triggers: the latest slot due by now, a named slot, or an extra occurrence beside the schedule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import InvalidSchedule, UsageError
from gda.lifecycle import Occurrence
from gda.schedule import DueSlot, latest_slot, parse_slot, parse_stored, slot_at, slot_name
from gda.store.claims import OCCURRENCE_COLUMNS, occurrence_from
from gda.store.promises import (
    AGE_LIMIT,
    Defaults,
    Waker,
    insert_new,
    occurrence_row,
)
from gda.store.scopes import Scope, schedule_condition, schedules_with_owner
from gda.store.tables import occurrences


@dataclass(frozen=True, slots=True)
class ByHand:
    """A person's request: ``at`` names a nominal slot; ``extra`` (a request's id) asks for one beside the schedule."""

    at: str | None = None
    extra: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The occurrence that a request means, and whether the request made its row."""

    occurrence: Occurrence
    new: bool


async def promise_by_hand(
    connection: AsyncConnection, scope: Scope, request: ByHand, *, now: datetime, waker: Waker, defaults: Defaults
) -> list[Target]:
    """Make sure that the occurrences a person asked for have rows.

    Args:
        connection: a writing transaction.
        scope: usually one user's schedules of one kind.
        request: which occurrence of each.
        now: the database's instant.
        waker: who asked.
        defaults: for columns that the schedule leaves open.

    Returns:
        One target per schedule in scope that has such a slot.

    Raises:
        UsageError: the scope has no schedule, or no slot due by now.
        InvalidSchedule: ``at`` is not a slot of the schedule, or lies ahead.
    """
    schedules = (await connection.execute(schedules_with_owner().where(schedule_condition(scope)))).all()
    if not schedules:
        raise UsageError(
            f'there is no schedule for {scope}; `gda schedule set USER {scope.kind} "daily 07:30"` makes one'
        )
    rows = [row for row in (_row(schedule, request, now, waker, defaults) for schedule in schedules) if row is not None]
    if not rows:
        raise UsageError(f"no slot of {scope} is due yet; `--extra` delivers now, beside the schedule")
    new = await insert_new(connection, rows)
    found = await connection.execute(
        # By name: what was promised when the kind had another one keeps its id.
        select(*OCCURRENCE_COLUMNS).where(
            occurrences.c.kind == scope.kind, occurrences.c.dedup_key.in_([row["dedup_key"] for row in rows])
        )
    )
    return [Target(occurrence_from(row), row.id in new) for row in found]


def _row(schedule: Any, request: ByHand, now: datetime, waker: Waker, defaults: Defaults) -> dict[str, Any] | None:
    if request.extra is not None:
        slot = f"extra/{request.extra}"
        return _new_row(schedule, slot, now, "", now, waker, defaults, extra=True)
    due = (
        _named_slot(schedule, request.at, now)
        if request.at
        else latest_slot(parse_stored(schedule.expression), schedule.effective_timezone, now)
    )
    if due is None:
        return None
    return _new_row(schedule, due.slot, due.due_at, due.note, now, waker, defaults, extra=False)


def _new_row(
    schedule: Any,
    slot: str,
    due_at: datetime,
    note: str,
    now: datetime,
    waker: Waker,
    defaults: Defaults,
    *,
    extra: bool,
) -> dict[str, Any]:
    return occurrence_row(
        schedule,
        slot=slot,
        due_at=due_at,
        ready_at=due_at,
        # A person asked now: the age limit counts from now, however old the slot is.
        expires_at=now + AGE_LIMIT,
        now=now,
        waker=waker,
        defaults=defaults,
        note=note,
        extra=extra,
    )


def _named_slot(schedule: Any, at: str, now: datetime) -> DueSlot:
    expression = parse_stored(schedule.expression)
    match = slot_at(expression, schedule.effective_timezone, slot_name(parse_slot(at)))
    if match is None:
        raise InvalidSchedule(
            f"{at} is not a slot of {schedule.expression!r} in {schedule.effective_timezone}; "
            f"`gda schedule next {schedule.user_id}` shows them, `--extra` delivers beside the schedule"
        )
    if match.due_at > now:
        raise InvalidSchedule(f"slot {at} is not due before {match.due_at:%Y-%m-%dT%H:%MZ}; `--extra` delivers now")
    return match
