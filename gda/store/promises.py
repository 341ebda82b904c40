"""Promise: insert the row of each due slot that has none, and move the schedule's ``next_due_at`` with it."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from gda.errors import InvalidSchedule
from gda.lifecycle import Status
from gda.schedule import CatchUp, DueDecision, Policies, decide_due, parse_stored
from gda.schedule.overlap import skip_overlapping
from gda.settings import Settings
from gda.store.names import names_taken
from gda.store.overlaps import runs_beside
from gda.store.scopes import Scope, due_schedules
from gda.store.tables import occurrences, schedules

OCCURRENCE_NAMESPACE = uuid.UUID("6f0f6f3e-1d0b-5c1f-9a43-0d9c5f1f7a11")
SHORT_PERIOD = timedelta(hours=1)
AGE_LIMIT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Waker:
    """Who or what woke GDA, for the record."""

    woken_by: str
    flow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a promised row gets where its schedule says nothing."""

    timeout_seconds: int = 300
    max_attempts: int = 10
    max_runs_per_day: int = 96

    @classmethod
    def of(cls, settings: Settings) -> "Defaults":
        """What the settings say."""
        return cls(settings.timeout_seconds, settings.retry_attempts, settings.max_runs_per_day)


@dataclass(frozen=True, slots=True)
class Promised:
    """What a promise inserted: counts, and the ids of the rows to perform; ``more``: it left some for another round."""

    evaluated: int = 0
    scheduled: tuple[str, ...] = ()
    skipped: int = 0
    problems: tuple[str, ...] = field(default=())
    more: bool = False

    def __add__(self, other: "Promised") -> "Promised":
        return Promised(
            self.evaluated + other.evaluated,
            self.scheduled + other.scheduled,
            self.skipped + other.skipped,
            self.problems + other.problems,
            other.more,
        )


def dedup_key(user_id: str | None, name: str, slot: str) -> str:
    """The name of an occurrence within its kind: whose schedule, and which nominal slot."""
    return f"{user_id or '-'}/{name}/{slot}"


def occurrence_id(kind: str, key: str) -> str:
    """The id that follows from the name, so that the same promise has the same id in every attempt to insert it."""
    return str(uuid.uuid5(OCCURRENCE_NAMESPACE, f"{kind}/{key}"))


async def promise_due(
    connection: AsyncConnection,
    scope: Scope,
    *,
    now: datetime,
    early: timedelta,
    waker: Waker,
    defaults: Defaults,
    limit: int = 500,
    only: ColumnElement[bool] | None = None,
    refused_as: str = "",
) -> Promised:
    """Promise what is due in ``scope`` by ``now + early``, for at most ``limit`` schedules.

    Args:
        connection: a writing transaction.
        scope: where to look.
        now: the database's instant.
        early: how far ahead a wake-up may promise.
        waker: who woke GDA.
        defaults: for columns that the schedule leaves open.
        limit: schedules evaluated in this transaction; call again while there is ``more``.
        only: a further condition on schedules.
        refused_as: take the schedules that are paused in Prefect instead, and skip their slots for this reason.

    Returns:
        What was inserted; ``problems`` names schedules whose stored row no longer parses (they are marked and skipped).
    """
    # Prefect wakes no deployment that is paused: its own wake-up proves that it runs again.
    paused = None if scope.of_one and waker.woken_by == "schedule" else bool(refused_as)
    until = now + early
    rows = await _due_schedules(connection, scope, paused, until, limit, only)
    runs = await runs_beside(connection, rows, now)
    inserts: list[dict[str, Any]] = []
    moves: list[dict[str, Any]] = []
    problems: list[str] = []
    for row in rows:
        try:
            decision = _refused(_decide(row, now, early, await names_taken(connection, row, now)), refused_as)
            decision = skip_overlapping(decision, runs.get(row.id, ()))
        except InvalidSchedule as error:
            problems.append(row.id)
            await _mark(connection, row.id, str(error))
            continue
        moves.append({"b_id": row.id, "b_revision": row.revision, "b_next": decision.next_due_at})
        inserts += _rows_of(row, decision, now, waker, defaults)
    new = await insert_new(connection, inserts)
    if moves:
        await connection.execute(_MOVE, moves)
    scheduled = tuple(
        values["id"] for values in inserts if values["id"] in new and values["status"] == Status.SCHEDULED
    )
    # One decision has a most of rows, so a schedule with a very long debt is still due after it.
    more = len(rows) == limit or any(move["b_next"] is not None and move["b_next"] <= until for move in moves)
    return Promised(len(rows), scheduled, len(new) - len(scheduled), tuple(problems), more)


async def _due_schedules(
    connection: AsyncConnection,
    scope: Scope,
    paused: bool | None,
    until: datetime,
    limit: int,
    only: ColumnElement[bool] | None,
) -> Sequence[Any]:
    query = _longest_due(scope, paused)
    if only is not None:
        query = query.where(only)
    return (await connection.execute(query, {"until": until, "most": limit})).all()


@lru_cache(maxsize=256)
def _longest_due(scope: Scope, paused: bool | None) -> Select[Any]:
    query = (
        due_schedules(scope, paused=paused).order_by(schedules.c.next_due_at).limit(bindparam("most", type_=Integer))
    )
    # SQLite has no row locks, and leaves FOR UPDATE out.
    return query.with_for_update(of=schedules, skip_locked=True)


def _decide(row: Any, now: datetime, early: timedelta, known: Collection[str]) -> DueDecision:
    policies = Policies(
        catch_up=CatchUp(row.catch_up),
        catch_up_window=timedelta(seconds=row.catch_up_window_seconds),
        expire_after=expire_after(row),
        spread=timedelta(seconds=row.spread_seconds),
    )
    return decide_due(
        parse_stored(row.expression),
        row.effective_timezone,
        policies=policies,
        active_from=row.active_from,
        next_due_at=row.next_due_at,
        now=now,
        early=early,
        known=known,
        spread_key=row.id,
    )


def expire_after(row: Any) -> timedelta | None:
    """How long a slot of a stored schedule is worth anything; None where the age limit alone counts."""
    return None if row.expire_after_seconds is None else timedelta(seconds=row.expire_after_seconds)


def _refused(decision: DueDecision, reason: str) -> DueDecision:
    if not reason:
        return decision
    promises = (
        replace(promise, status="skipped", reason=reason, not_before=None) if promise.status == "scheduled" else promise
        for promise in decision.promises
    )
    return replace(decision, promises=tuple(promises))


def _rows_of(row: Any, decision: DueDecision, now: datetime, waker: Waker, defaults: Defaults) -> list[dict[str, Any]]:
    ends = [*(promise.due_at for promise in decision.promises), decision.next_due_at][1:]
    return [
        occurrence_row(
            row,
            slot=promise.slot,
            due_at=promise.due_at,
            ready_at=promise.not_before or promise.due_at,
            expires_at=age_limit(promise.due_at, end, expire_after(row)),
            status=Status(promise.status),
            reason=promise.reason,
            note=promise.note,
            now=now,
            waker=waker,
            defaults=defaults,
        )
        for promise, end in zip(decision.promises, ends, strict=True)
    ]


def age_limit(due_at: datetime, next_due_at: datetime | None, expire_after: timedelta | None = None) -> datetime:
    """When an occurrence is no longer worth an attempt: at the next one, or after 24 h if they come faster.

    ``expire_after`` is the schedule's own limit, where that comes first.
    """
    often = next_due_at is None or next_due_at - due_at < SHORT_PERIOD
    limit = due_at + AGE_LIMIT if often or next_due_at is None else next_due_at
    return limit if expire_after is None else min(limit, due_at + expire_after)


def occurrence_row(
    schedule: Any,
    *,
    slot: str,
    due_at: datetime,
    ready_at: datetime,
    expires_at: datetime | None,
    now: datetime,
    waker: Waker,
    defaults: Defaults,
    status: Status = Status.SCHEDULED,
    reason: str = "",
    note: str = "",
    extra: bool = False,
) -> dict[str, Any]:
    """The values of one new row of ``schedule`` (a row of ``schedules_with_owner``)."""
    key = dedup_key(schedule.user_id, schedule.name, slot)
    return {
        "id": occurrence_id(schedule.kind, key),
        "kind": schedule.kind,
        "dedup_key": key,
        "user_id": schedule.user_id,
        "schedule_id": schedule.id,
        "revision": schedule.revision,
        "slot": None if extra else slot,
        "timezone": schedule.effective_timezone,
        "note": note,
        "extra": extra,
        "due_at": due_at,
        "payload": schedule.settings.get("payload"),
        "status": status,
        "ready_at": ready_at,
        "expires_at": expires_at,
        "timeout_seconds": defaults.timeout_seconds,
        "max_attempts": defaults.max_attempts,
        "reason": reason,
        "woken_by": waker.woken_by,
        "flow_run_id": waker.flow_run_id,
        "created_at": now,
        "finished_at": now if status is Status.SKIPPED else None,
    }


async def insert_new(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert ``rows`` that are not there yet and return the ids of those that were new.

    The unique name decides, inside the statement; nothing is looked up first.
    """
    if not rows:
        return set()
    result = await connection.execute(_inserting(connection.dialect.name), list(rows))
    return set(result.scalars())


@cache
def _inserting(dialect_name: str) -> ReturningInsert[Any]:
    dialect = sqlite if dialect_name == "sqlite" else postgresql
    statement = dialect.insert(occurrences).on_conflict_do_nothing(index_elements=["kind", "dedup_key"])
    inserting: ReturningInsert[Any] = statement.returning(occurrences.c.id)
    return inserting


_MOVE = (
    update(schedules)
    .where(schedules.c.id == bindparam("b_id"), schedules.c.revision == bindparam("b_revision"))
    .values(next_due_at=bindparam("b_next"))
)


async def _mark(connection: AsyncConnection, schedule_id: str, problem: str) -> None:
    await connection.execute(
        update(schedules).where(schedules.c.id == schedule_id).values(problem=problem, next_due_at=None)
    )
