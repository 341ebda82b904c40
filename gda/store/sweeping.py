"""What the sweep asks and does in the database; every read goes through an index whose size follows what is due.

Conditions that choose a partial index are spelled as literals: with a bound value SQLite cannot prove that it applies.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, String, and_, bindparam, func, or_, select, text

from gda.lifecycle import Status
from gda.store.database import Database
from gda.store.promises import Defaults, Promised, Waker, promise_due
from gda.store.scopes import Scope
from gda.store.tables import leases, occurrences, schedules

CHUNK = 500
_ENABLED = text("gda_schedules.enabled")
_WAITING = text("gda_occurrences.status IN ('scheduled', 'retrying')")
_RUNNING = text("gda_occurrences.status = 'running'")
_FINISHED = text("gda_occurrences.status IN ('done', 'skipped', 'cancelled', 'discarded')")


# Made once, for they are asked every minute: spelling one takes SQLAlchemy longer than its answer takes.
NEXT_KIND = (
    select(schedules.c.kind)
    .where(_ENABLED, schedules.c.kind > bindparam("after", type_=String))
    .order_by(schedules.c.kind)
    .limit(1)
)
"""The first kind behind ``after`` that has an enabled schedule: one step through the index of due ones."""

_OVERDUE_SPREADS = (
    select(schedules.c.spread_seconds, func.min(schedules.c.next_due_at).label("earliest"))
    .where(
        _ENABLED,
        schedules.c.kind == bindparam("kind", type_=String),
        schedules.c.next_due_at <= bindparam("until", type_=schedules.c.next_due_at.type),
    )
    .group_by(schedules.c.spread_seconds)
)
_UNSERVED = or_(
    occurrences.c.status == Status.RETRYING,
    occurrences.c.woken_by != "schedule",
    occurrences.c.ready_at <= bindparam("b_late", type_=occurrences.c.ready_at.type),
)
_READY = (
    select(occurrences.c.kind, occurrences.c.queue, func.count().label("number"))
    .where(_WAITING, occurrences.c.ready_at <= bindparam("b_now", type_=occurrences.c.ready_at.type), _UNSERVED)
    .group_by(occurrences.c.kind, occurrences.c.queue)
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Ready occurrences that no wake-up is known to be coming for."""

    kind: str
    queue: str
    count: int


class Sweeping:
    """The sweep's view of one database."""

    def __init__(self, database: Database, defaults: Defaults) -> None:
        self._database = database
        self._defaults = defaults

    async def missed(self, grace: timedelta) -> dict[str, list[int]]:
        """By kind, the spreads (in seconds) of schedules whose slot went unserved for longer than ``grace``."""
        found: dict[str, list[int]] = defaultdict(list)
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            kind = ""
            while kind := (await connection.scalar(NEXT_KIND, {"after": kind})) or "":
                rows = await connection.execute(_OVERDUE_SPREADS, {"kind": kind, "until": now - grace})
                for row in rows:
                    if row.earliest <= now - grace - timedelta(seconds=row.spread_seconds):
                        found[kind].append(row.spread_seconds)
        return dict(found)

    async def promise(self, kind: str, spread_seconds: int, grace: timedelta, waker: Waker) -> Promised:
        """Promise missed slots of ``kind`` with this spread: next_due_at + spread + grace has passed (DESIGN 6)."""
        total = Promised()
        late = grace + timedelta(seconds=spread_seconds)
        while True:
            async with self._database.write() as connection:
                part = await promise_due(
                    connection,
                    Scope(kind),
                    now=await self._database.clock.now(connection),
                    early=-late,
                    waker=waker,
                    defaults=self._defaults,
                    limit=CHUNK,
                    only=schedules.c.spread_seconds == spread_seconds,
                )
            total += part
            if not part.more:
                return total

    async def waiting(self, grace: timedelta) -> list[Waiting]:
        """What waits to be performed, by kind and queue; slots only once their own wake-up is late by ``grace``."""
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            rows = await connection.execute(_READY, {"b_now": now, "b_late": now - grace})
            return [Waiting(row.kind, row.queue, row.number) for row in rows]

    async def active_runs(self, window: timedelta) -> set[str]:
        """Prefect flow runs that held a lease, or finished an occurrence, within the last ``window``.

        Named leases count too: the owner of one that a flow run holds ends with the run's id.
        """
        async with self._database.read() as connection:
            since = await self._database.clock.now(connection) - window
            rows = [await connection.execute(query) for query in (leased_since(since), finished_since(since))]
            owners = await connection.execute(select(leases.c.owner).where(leases.c.expires_at > since))
            named = {row.owner.rpartition(":")[2] for row in owners}
            return named | {row.flow_run_id for part in rows for row in part}


def leased_since(since: datetime) -> Select[Any]:
    """Flow runs with a lease that expires after ``since``."""
    held = and_(_RUNNING, occurrences.c.lease_expires_at > since)
    return select(occurrences.c.flow_run_id).distinct().where(held, occurrences.c.flow_run_id.is_not(None))


def finished_since(since: datetime) -> Select[Any]:
    """Flow runs that brought an occurrence to its end after ``since``."""
    ended = and_(_FINISHED, occurrences.c.finished_at > since)
    return select(occurrences.c.flow_run_id).distinct().where(ended, occurrences.c.flow_run_id.is_not(None))
