"""What people command in Prefect, carried into the ledger: a paused schedule's slots and a cancelled run's are skipped.

Whoever promises for many (the sweep, a drain) first asks Prefect about the schedules it is going to promise for, and
brings the answer here. A schedule that is paused is marked, which is what `gda schedule list` shows.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import InvalidSchedule
from gda.lifecycle import Status
from gda.schedule import latest_slot, parse
from gda.store.conditions import ENABLED, IDS, Among, status_is
from gda.store.database import Database
from gda.store.promises import Defaults, Waker, age_limit, insert_new, occurrence_row, promise_due
from gda.store.scopes import Scope, due_schedules, occurrence_condition, schedules_with_owner
from gda.store.sweeping import NEXT_KIND
from gda.store.tables import occurrences, schedules

PAUSED = "paused in Prefect"
CANCELLED = "cancelled in Prefect"
SEEN_WITHIN = timedelta(minutes=2)
"""A resumed schedule owes what was due since it was last seen paused, but no more than this: two sweeps."""
SWEEP = Waker("sweep")
OPERATOR = ""
"""In place of a user's id."""
MARKED = text("gda_schedules.paused_in_prefect_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Watched:
    """A schedule about which Prefect is to be asked; ``marked``: it was paused there when last seen.

    ``user_id`` is empty where it is the operator's; ``timezone`` is the user's where it has none of its own.
    """

    id: str
    user_id: str
    kind: str
    name: str
    marked: bool
    expression: str = ""
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class CancelledRun:
    """A flow run that a person cancelled.

    Where a schedule of users, or of the operator, had made it, ``scope`` says whose and ``at`` is the slot's instant
    (aware).
    """

    flow_run_id: str
    scope: Scope | None = None
    at: datetime | None = None


class Commands:
    """People's commands to one database."""

    def __init__(self, database: Database, defaults: Defaults) -> None:
        self._database = database
        self._defaults = defaults

    async def watched(self, early: timedelta, kind: str | None = None) -> list[Watched]:
        """The schedules (of one kind) with a slot to be promised by now + ``early``, and all that are marked."""
        async with self._database.read() as connection:
            until = await self._database.clock.now(connection) + early
            kinds = [kind] if kind is not None else await _kinds(connection)
            rows = (await connection.execute(marked(kind))).all()
            for one in kinds:
                rows = [*rows, *await connection.execute(_DUE, {"b_kind": one, "b_until": until})]
        found = {row.id: row for row in rows}
        return [
            Watched(
                row.id,
                row.user_id or OPERATOR,
                row.kind,
                row.name,
                row.paused_in_prefect_at is not None,
                row.expression,
                row.effective_timezone,
            )
            for row in found.values()
        ]

    async def heed_pauses(self, paused: Sequence[str], resumed: Sequence[str]) -> int:
        """Mark what is paused and skip its slots that are due; let go on what runs again, without its past.

        Args:
            paused: ids of schedules that are paused in Prefect now.
            resumed: ids of marked ones that are not, or no more.

        Returns:
            How many slots were skipped.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            skipped = await self._resume(connection, resumed, now) if resumed else 0
            if paused:
                await connection.execute(
                    update(schedules).where(Among(schedules.c.id, IDS)).values(paused_in_prefect_at=now),
                    {"ids": list(paused)},
                )
        for kind in await self._marked_kinds(paused):
            skipped += await self._skip(kind)
        return skipped

    async def cancel(self, runs: Sequence[CancelledRun]) -> int:
        """Skip what the cancelled runs would have performed, be it promised or not yet; returns how many."""
        if not runs:
            return 0
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            skipped = await _skip_waiting(connection, runs, now)
            rows = [row for run in runs for row in await self._unpromised(connection, run, now)]
            return skipped + len(await insert_new(connection, rows))

    async def _resume(self, connection: AsyncConnection, ids: Sequence[str], now: datetime) -> int:
        query = select(schedules.c.id, schedules.c.kind, schedules.c.paused_in_prefect_at).where(MARKED)
        skipped = 0
        for row in (await connection.execute(query)).all():
            if row.id in set(ids):
                since = max(row.paused_in_prefect_at, now - SEEN_WITHIN)
                only = schedules.c.id == row.id
                skipped += await self._refuse(connection, row.kind, now, early=since - now, only=only)
        await connection.execute(
            update(schedules).where(Among(schedules.c.id, IDS)).values(paused_in_prefect_at=None), {"ids": list(ids)}
        )
        return skipped

    async def _marked_kinds(self, ids: Sequence[str]) -> list[str]:
        if not ids:
            return []
        async with self._database.read() as connection:
            return list((await connection.execute(select(schedules.c.kind).distinct().where(MARKED))).scalars())

    async def _skip(self, kind: str) -> int:
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            return await self._refuse(connection, kind, now, early=timedelta(0))

    async def _refuse(
        self,
        connection: AsyncConnection,
        kind: str,
        now: datetime,
        *,
        early: timedelta,
        only: ColumnElement[bool] | None = None,
    ) -> int:
        skipped = 0
        while True:
            part = await promise_due(
                connection,
                Scope(kind),
                now=now,
                early=early,
                waker=SWEEP,
                defaults=self._defaults,
                only=only,
                refused_as=PAUSED,
            )
            skipped += part.skipped
            if not part.more:
                return skipped

    async def _unpromised(
        self, connection: AsyncConnection, run: CancelledRun, now: datetime
    ) -> Iterable[dict[str, Any]]:
        if run.at is None or run.scope is None:
            return []
        rows = (await connection.execute(due_schedules(run.scope, paused=None), {"until": run.at})).all()
        return [values for row in rows for values in _skipped_row(row, run.at, now, self._defaults)]


async def _kinds(connection: AsyncConnection) -> list[str]:
    found, kind = [], ""
    while kind := (await connection.scalar(NEXT_KIND, {"after": kind})) or "":
        found.append(kind)
    return found


_DUE = schedules_with_owner().where(
    ENABLED,
    schedules.c.kind == bindparam("b_kind", type_=String),
    schedules.c.next_due_at <= bindparam("b_until", type_=schedules.c.next_due_at.type),
)


@cache
def marked(kind: str | None) -> Select[Any]:
    """Schedules (of ``kind``) that were paused in Prefect when last seen."""
    query = schedules_with_owner().where(MARKED)
    return query if kind is None else query.where(schedules.c.kind == kind)


def _skipped_row(row: Any, at: datetime, now: datetime, defaults: Defaults) -> list[dict[str, Any]]:
    try:
        slot = latest_slot(parse(row.expression, max_runs_per_day=None), row.effective_timezone, at)
    except InvalidSchedule:
        return []
    if slot is None or slot.due_at != at or at < row.active_from:
        return []
    return [
        occurrence_row(
            row,
            slot=slot.slot,
            due_at=at,
            ready_at=at,
            expires_at=age_limit(at, None),
            now=now,
            waker=SWEEP,
            defaults=defaults,
            status=Status.SKIPPED,
            reason=CANCELLED,
            note=slot.note,
        )
    ]


_WAITING = status_is(Status.SCHEDULED, Status.RETRYING)
_SKIP = update(occurrences).values(
    status=Status.SKIPPED, reason=CANCELLED, finished_at=bindparam("b_now", type_=occurrences.c.finished_at.type)
)
_OF_RUN = _SKIP.where(_WAITING, Among(occurrences.c.flow_run_id, IDS))
_OF_SLOT = _SKIP.where(
    _WAITING,
    occurrences.c.due_at == bindparam("b_at", type_=occurrences.c.due_at.type),
    # What a person asked for since stays asked for.
    occurrences.c.woken_by != "hand",
    occurrences.c.slot.is_not(None),
)


async def _skip_waiting(connection: AsyncConnection, runs: Collection[CancelledRun], now: datetime) -> int:
    own = await connection.execute(_OF_RUN, {"b_now": now, "ids": [run.flow_run_id for run in runs]})
    skipped = own.rowcount
    for run in runs:
        if run.at is not None and run.scope is not None:
            mine = _OF_SLOT.where(occurrence_condition(run.scope))
            skipped += (await connection.execute(mine, {"b_now": now, "b_at": run.at})).rowcount
    return skipped
