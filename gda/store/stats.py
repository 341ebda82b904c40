"""Figures about the ledger, computed in the database: a few rows per kind come here, however many there are."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from gda.lifecycle import Status
from gda.store.conditions import status_is
from gda.store.database import Database
from gda.store.tables import attempts, dead_letters, occurrences

OVERDUE_LEASE = timedelta(minutes=5)
SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells whether work is being done; ``oldest_ready_at`` (aware UTC) is None when nothing waits."""

    leases_overdue: int
    oldest_ready_at: datetime | None
    dead_letters_open: int


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How many were measured, and the seconds that half, 95 and 99 in a hundred of them did not exceed."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class KindStats:
    """One kind within a window; the percentiles are None where nothing was measured.

    Args:
        kind: its name.
        counts: its occurrences that were due in the window, by status.
        attempts: tries that began in the window.
        duration: of those that have ended, from start to end.
        lateness: of the occurrences that have begun, from due to the first start.
    """

    kind: str
    counts: Mapping[Status, int] = field(default_factory=dict)
    attempts: int = 0
    duration: Percentiles | None = None
    lateness: Percentiles | None = None


class Stats:
    """Figures about one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def kinds(self, *, kind: str | None = None, since: timedelta = timedelta(hours=24)) -> list[KindStats]:
        """How each kind fared of late.

        Args:
            kind: only this one.
            since: how far back the window goes from the database's now.

        Returns:
            One entry per kind that has anything in the window, by name.
        """
        async with self._database.read() as connection:
            start = await self._database.clock.now(connection) - since
            counts, tried = await _counts(connection, start, kind), await _attempts(connection, start, kind)
            durations = await _percentiles(connection, _durations(start, kind))
            delays = await _percentiles(connection, _delays(start, kind))
        return [
            KindStats(name, counts.get(name, {}), tried.get(name, 0), durations.get(name), delays.get(name))
            for name in sorted({*counts, *tried})
        ]

    async def pulse(self) -> Pulse:
        """Leases expired for 5 minutes and more, the oldest ready occurrence, open dead letters."""
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            overdue = select(func.count()).where(
                status_is(Status.RUNNING), occurrences.c.lease_expires_at <= now - OVERDUE_LEASE
            )
            oldest = (
                select(occurrences.c.ready_at)
                .where(status_is(Status.SCHEDULED, Status.RETRYING), occurrences.c.ready_at <= now)
                .order_by(occurrences.c.ready_at)
                .limit(1)
            )
            letters = select(func.count()).select_from(dead_letters).where(dead_letters.c.closed_at.is_(None))
            return Pulse(
                await connection.scalar(overdue) or 0,
                await connection.scalar(oldest),
                await connection.scalar(letters) or 0,
            )


def _mine(kind: str | None) -> list[ColumnElement[bool]]:
    return [] if kind is None else [occurrences.c.kind == kind]


async def _counts(connection: AsyncConnection, start: datetime, kind: str | None) -> dict[str, dict[Status, int]]:
    found: dict[str, dict[Status, int]] = defaultdict(dict)
    query = (
        select(occurrences.c.kind, occurrences.c.status, func.count().label("number"))
        .where(occurrences.c.due_at >= start, *_mine(kind))
        .group_by(occurrences.c.kind, occurrences.c.status)
        .order_by(occurrences.c.kind, occurrences.c.status)
    )
    for row in await connection.execute(query):
        found[row.kind][Status(row.status)] = row.number
    return dict(found)


_TRIED = attempts.join(occurrences, occurrences.c.id == attempts.c.occurrence_id)


async def _attempts(connection: AsyncConnection, start: datetime, kind: str | None) -> dict[str, int]:
    query = (
        select(occurrences.c.kind, func.count().label("number"))
        .select_from(_TRIED)
        .where(attempts.c.started_at >= start, *_mine(kind))
        .group_by(occurrences.c.kind)
    )
    return {row.kind: row.number for row in await connection.execute(query)}


def _durations(start: datetime, kind: str | None) -> Select[Any]:
    seconds = SecondsBetween(attempts.c.started_at, attempts.c.ended_at)
    ended = (attempts.c.started_at >= start, attempts.c.ended_at.is_not(None))
    return select(occurrences.c.kind, seconds.label("seconds")).select_from(_TRIED).where(*ended, *_mine(kind))


def _delays(start: datetime, kind: str | None) -> Select[Any]:
    seconds = SecondsBetween(occurrences.c.due_at, occurrences.c.started_at)
    begun = (occurrences.c.due_at >= start, occurrences.c.started_at.is_not(None))
    return select(occurrences.c.kind, seconds.label("seconds")).where(*begun, *_mine(kind))


class SecondsBetween(FunctionElement[float]):
    """The seconds from an earlier to a later instant: ``SecondsBetween(earlier, later)``."""

    name = "seconds_between"
    type = Float()
    inherit_cache = True


@compiles(SecondsBetween)
def _by_epochs(element: SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    earlier, later = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM {later} - {earlier}) AS DOUBLE PRECISION)"


@compiles(SecondsBetween, "sqlite")
def _by_julian_days(element: SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    earlier, later = (compiler.process(each, **options) for each in element.clauses)
    # A Julian day in a double is good for 40 microseconds, SQLite's reading of an instant for a millisecond.
    return f"ROUND((julianday({later}) - julianday({earlier})) * 86400, 3)"


async def _percentiles(connection: AsyncConnection, measured: Select[Any]) -> dict[str, Percentiles]:
    # Nearest rank, since SQLite has no percentile functions and both databases are to say the same.
    values = measured.subquery("measured")
    rank = func.row_number().over(partition_by=values.c.kind, order_by=values.c.seconds).label("rank")
    number = func.count().over(partition_by=values.c.kind).label("number")
    ranked = select(values.c.kind, values.c.seconds, rank, number).subquery("ranked")
    reached = (
        func.min(case((ranked.c.rank * 100 >= ranked.c.number * share, ranked.c.seconds))).label(f"p{share}")
        for share in SHARES
    )
    query = select(ranked.c.kind, func.max(ranked.c.number), *reached).group_by(ranked.c.kind)
    return {row[0]: Percentiles(*row[1:]) for row in await connection.execute(query)}
