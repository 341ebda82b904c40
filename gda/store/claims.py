"""Claim, start, renew, hand back: who holds an occurrence, as guarded statements."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from gda.errors import ClaimLost
from gda.lifecycle import CLAIMABLE, Claim, Occurrence, Status
from gda.store.conditions import IDS, Among, status_is
from gda.store.overlaps import FREE, first_of_each_schedule
from gda.store.scopes import Scope, occurrence_condition
from gda.store.tables import attempts, occurrences

OCCURRENCE_COLUMNS = tuple(occurrences.c[name] for name in Occurrence.__dataclass_fields__)
_INSTANT = occurrences.c.ready_at.type
_STATUS = list(Occurrence.__dataclass_fields__).index("status")


def occurrence_from(row: Any) -> Occurrence:
    """Make the frozen value of a row that begins with ``OCCURRENCE_COLUMNS``."""
    values = list(row[: len(OCCURRENCE_COLUMNS)])
    values[_STATUS] = Status(values[_STATUS])
    return Occurrence(*values)


async def claim(
    connection: AsyncConnection,
    scope: Scope,
    *,
    owner: str,
    flow_run_id: str | None,
    now: datetime,
    lease: timedelta,
    limit: int,
    impatient: bool = False,
    suspects: bool = False,
) -> list[Claim]:
    """Take up to ``limit`` occurrences of ``scope`` that are ready, after :func:`recover` has freed the abandoned ones.

    Args:
        connection: a writing transaction.
        scope: where to look.
        owner: who takes them; unique per flow run and process.
        flow_run_id: the Prefect run that does, for the record.
        now: the database's instant.
        lease: how long the claim lasts without renewal.
        limit: most rows taken; of one schedule never two, and none while another of it runs.
        impatient: take waiting ones (``ready_at`` in the future) too, because a person asked for them now.
        suspects: take suspects, and nothing else; the caller performs them one at a time, alone.

    Returns:
        The claims, most urgent first.

    Raises:
        IntegrityError: another worker claimed a slot of the same schedule just now; ask again.
    """
    given = {"b_now": now, "b_most": limit, "b_owner": owner, "b_expires": now + lease, "b_run": flow_run_id}
    rows = await connection.execute(_taking(scope, impatient, suspects), given)
    taken = [Claim(occurrence_from(row), owner, row.fence, flow_run_id, alone=row.suspect) for row in rows]
    return sorted(taken, key=_urgency)


def _urgency(claim: Claim) -> tuple[int, datetime, str]:
    return -claim.occurrence.priority, claim.occurrence.due_at, claim.occurrence.id


@lru_cache(maxsize=256)
def _taking(scope: Scope, impatient: bool, suspects: bool) -> ReturningUpdate[Any]:
    """The claiming statement, made once for a scope: a run asks it until nothing is left."""
    ready: ColumnElement[bool] = status_is(*CLAIMABLE)
    if not impatient:
        ready = and_(ready, occurrences.c.ready_at <= bindparam("b_now", type_=_INSTANT))
    wanted = (
        select(occurrences.c.id, occurrences.c.schedule_id, occurrences.c.extra, occurrences.c.due_at)
        .where(occurrence_condition(scope), ready, occurrences.c.suspect == suspects, FREE)
        .order_by(occurrences.c.priority.desc(), occurrences.c.ready_at)
        .limit(bindparam("b_most", type_=Integer))
        # SQLite has no row locks, and leaves FOR UPDATE out.
        .with_for_update(skip_locked=True)
    )
    # Materialised, for PostgreSQL may otherwise ask the inner query anew for each row and take more than the limit.
    chosen = wanted.cte("wanted").prefix_with("MATERIALIZED", dialect="postgresql")
    return (
        update(occurrences)
        .where(occurrences.c.id.in_(first_of_each_schedule(chosen)))
        .values(
            status=Status.RUNNING,
            lease_owner=bindparam("b_owner"),
            lease_expires_at=bindparam("b_expires"),
            flow_run_id=bindparam("b_run"),
            fence=occurrences.c.fence + 1,
        )
        .returning(*OCCURRENCE_COLUMNS)
    )


async def abandoned_runs(connection: AsyncConnection, now: datetime) -> list[str]:
    """The Prefect flow runs that let a lease expire: nobody is at work in them any more."""
    query = (
        select(occurrences.c.flow_run_id)
        .distinct()
        .where(
            status_is(Status.RUNNING),
            occurrences.c.lease_expires_at <= now,
            occurrences.c.flow_run_id.is_not(None),
        )
    )
    rows = await connection.execute(query)
    return [row.flow_run_id for row in rows]


# SQLite has no row locks, and leaves FOR UPDATE out.
_HOLDERS = (
    select(occurrences.c.id, occurrences.c.fence)
    .where(Among(occurrences.c.id, IDS), status_is(Status.RUNNING))
    .order_by(occurrences.c.id)
    .with_for_update()
)


async def holders(connection: AsyncConnection, claims: Sequence[Claim]) -> set[tuple[str, int]]:
    """Which of ``claims`` still hold, as (occurrence id, fence); locks their rows on PostgreSQL."""
    rows = await connection.execute(_HOLDERS, {"ids": [item.occurrence.id for item in claims]})
    return {(identity, fence) for identity, fence in rows.all()}


def lost(claim: Claim) -> ClaimLost:
    """The named refusal of a late writer."""
    return ClaimLost(
        f"occurrence {claim.occurrence.id} is no longer held under fence {claim.fence}: "
        f"another worker took it over; this worker's result was not written"
    )


_LAST_NUMBER = select(func.max(attempts.c.number)).where(attempts.c.occurrence_id == occurrences.c.id).scalar_subquery()
_STARTING = _HOLDERS.add_columns(func.coalesce(_LAST_NUMBER, 0))
_BEGIN = insert(attempts)
_BEGUN = (
    update(occurrences)
    .where(Among(occurrences.c.id, IDS), occurrences.c.started_at.is_(None))
    .values(started_at=bindparam("b_now", type_=occurrences.c.started_at.type))
)


async def start(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[int | Exception]:
    """Write the attempt rows of bodies that begin now.

    Returns:
        For each claim the attempt's number, or ``ClaimLost``.
    """
    found = await connection.execute(_STARTING, {"ids": [item.occurrence.id for item in claims]})
    numbers = {(identity, fence): last for identity, fence, last in found.all()}
    rows, answers = [], list[int | Exception]()
    for item in claims:
        key = (item.occurrence.id, item.fence)
        if key not in numbers:
            answers.append(lost(item))
            continue
        number = numbers[key] = numbers[key] + 1
        answers.append(number)
        rows.append(
            {
                "occurrence_id": item.occurrence.id,
                "number": number,
                "fence": item.fence,
                "owner": item.owner,
                "flow_run_id": item.flow_run_id,
                "alone": item.alone,
                "started_at": now,
            }
        )
    if rows:
        await connection.execute(_BEGIN, rows)
        await connection.execute(_BEGUN, {"ids": [row["occurrence_id"] for row in rows], "b_now": now})
    return answers


async def renew(connection: AsyncConnection, owner: str, *, now: datetime, lease: timedelta) -> int:
    """Prolong every lease of ``owner`` that is still its own; returns how many."""
    result = await connection.execute(
        update(occurrences)
        .where(occurrences.c.lease_owner == owner, status_is(Status.RUNNING))
        .values(lease_expires_at=now + lease)
    )
    return result.rowcount


async def hand_back(connection: AsyncConnection, owner: str, *, now: datetime) -> int:
    """Return everything ``owner`` holds, unburnt, because it stops; started bodies end as interrupted."""
    mine = select(occurrences.c.id).where(occurrences.c.lease_owner == owner, status_is(Status.RUNNING))
    await connection.execute(
        update(attempts)
        .where(attempts.c.occurrence_id.in_(mine), attempts.c.ended_at.is_(None))
        .values(ended_at=now, outcome="interrupted", message="the worker was asked to stop")
    )
    result = await connection.execute(
        update(occurrences)
        .where(occurrences.c.lease_owner == owner, status_is(Status.RUNNING))
        .values(
            status=case((occurrences.c.started_at.is_(None), Status.SCHEDULED), else_=Status.RETRYING),
            lease_owner=None,
            lease_expires_at=None,
            ready_at=case((occurrences.c.ready_at > now, occurrences.c.ready_at), else_=now),
        )
    )
    return result.rowcount


_LIVE = select(occurrences.c.id, occurrences.c.fence).where(
    Among(occurrences.c.id, IDS),
    status_is(Status.RUNNING),
    occurrences.c.lease_expires_at > bindparam("b_now", type_=occurrences.c.lease_expires_at.type),
)


async def still_mine(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[Exception | None]:
    """Check leases right before something irreversible: for each claim None, or ``ClaimLost``."""
    rows = await connection.execute(_LIVE, {"ids": [item.occurrence.id for item in claims], "b_now": now})
    mine = {(identity, fence) for identity, fence in rows.all()}
    return [None if (item.occurrence.id, item.fence) in mine else lost(item) for item in claims]
