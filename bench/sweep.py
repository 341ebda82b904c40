"""A sweep that finds nothing, beside very many settled occurrences: its time, and the plans of its statements."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from prefect.client.orchestration import PrefectClient
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.statements import Script, Statement, recorded
from gda.glue.commands import heed
from gda.glue.sweeping import close_runs
from gda.settings import Settings
from gda.store import Database, Scope, Store, Waker, Wish, Worker, make_store, open_database
from gda.store.instants import UtcInstant
from gda.sweep import sweep

MOST_MILLISECONDS = 50.0
SCHEDULES, ROUNDS = 10_000, 5
BIG = ("gda_occurrences", "gda_attempts", "gda_schedules", "gda_dead_letters", "gda_effects")

FILL = text(
    """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO gda_occurrences (id, kind, dedup_key, user_id, slot, due_at, status, ready_at, fence, woken_by,
                                 created_at, started_at, finished_at)
    SELECT CAST(100000000 + i AS VARCHAR(36)), 'digest', 'u' || (i % 10000) || '/default/' || i, 'u' || (i % 10000),
           '2026-03-10T07:30', :then, 'done', :then, CASE WHEN i % 10 = 0 THEN 1 ELSE 2 END, 'schedule',
           :then, :then, :then
    FROM n
    """
).bindparams(bindparam("then", type_=UtcInstant))


FILL_ATTEMPTS = text(
    """
    INSERT INTO gda_attempts (occurrence_id, number, fence, owner, started_at, ended_at, outcome)
    SELECT id, 1, 1, 'bench', due_at, due_at, 'done' FROM gda_occurrences WHERE fence = 1
    """
)

FILL_EFFECTS = text(
    """
    INSERT INTO gda_effects (occurrence_id, step, state, fence, reference, content, intent_at, busy_until, confirmed_at)
    SELECT id, 'send', 'confirmed', 1, '<' || id || '@gda.example>', '{}', due_at, due_at, due_at
    FROM gda_occurrences WHERE fence = 1
    """
)


@dataclass(frozen=True, slots=True)
class Swept:
    """The median time of something that finds nothing, and how its statements find their rows."""

    rows: int
    milliseconds: float
    plans: list[str]

    @property
    def late(self) -> bool:
        """Whether it took longer than it may."""
        return self.milliseconds >= MOST_MILLISECONDS

    @property
    def scans(self) -> list[str]:
        """Plans that read a whole table."""
        return [plan for plan in self.plans if any(_scans(plan, table) for table in BIG)]


def _scans(plan: str, table: str) -> bool:
    lines = [line.strip(" ->") for line in plan.split("; ")]
    return any(line.startswith((f"Seq Scan on {table}", f"SCAN {table}")) and "INDEX" not in line for line in lines)


async def sweep_of(url: str, settled: int) -> dict[str, Swept]:
    """Fill the empty database at ``url``; time a sweep and a claim there. Raises RuntimeError when they find work."""
    database = open_database(url)
    try:
        store = make_store(database, Settings())
        await fill(store, settled)
        passes = {"empty sweep": empty_sweep, "claim that finds nothing": empty_claim}
        return {name: await timed(store, one, settled) for name, one in passes.items()}
    finally:
        await database.close()


async def timed(store: Store, one: Callable[[Store], Awaitable[int]], settled: int) -> Swept:
    """Do ``one`` a few times, and once more for its plans."""
    milliseconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = await one(store)
        milliseconds.append((time.perf_counter() - started) * 1000)
        if found:
            raise RuntimeError(f"there was nothing to find, but {found} were found")
    with recorded(store.database) as script:
        await one(store)
    return Swept(settled, sorted(milliseconds)[ROUNDS // 2], await plans_of(store.database, script))


class SilentPrefect:
    """Stands where Prefect's client does, and knows of no run: what is measured is the ledger's share of each step."""

    async def read_flow_runs(self, **_: Any) -> list[Any]:
        """No runs."""
        return []


async def empty_sweep(store: Store) -> int:
    """One sweep as ``flows/sweep.py`` does it, with nobody at Prefect's side; how much it found."""
    settings, nobody = Settings(), cast(PrefectClient, SilentPrefect())
    grace = timedelta(seconds=settings.sweep_grace_seconds)

    async def no_drain(kind: str, queue: str) -> bool:
        return False

    swept = await sweep(
        store,
        settings,
        Waker("sweep"),
        ensure_drain=no_drain,
        close_runs=partial(close_runs, client=nobody, grace=grace, own=None),
        heed=partial(heed, client=nobody, early=-grace),
    )
    if swept.failures:
        raise RuntimeError(f"the sweep failed: {swept.failures}")
    return swept.evaluated + swept.promised + swept.skipped + swept.recovered + swept.closed


async def empty_claim(store: Store) -> int:
    """What every wake-up asks first."""
    return len(await store.ledger.claim(Scope("digest"), Worker("bench"), limit=128))


async def fill(store: Store, settled: int) -> None:
    """Users with schedules that are due later, and ``settled`` occurrences that are done."""
    names = [f"u{n}" for n in range(SCHEDULES)]
    later = f"daily {datetime.now(UTC) - timedelta(hours=1):%H:%M}"
    await store.users.add_many([(name, f"{name}@example.org", "UTC") for name in names])
    await store.schedules.add_many([Wish(name, "digest", later) for name in names], {})
    async with store.database.write() as connection:
        await connection.execute(FILL, {"count": settled, "then": datetime(2026, 3, 10, 7, 30, tzinfo=UTC)})
        # For every tenth only: enough that no plan takes these tables for empty ones.
        await connection.execute(FILL_ATTEMPTS)
        await connection.execute(FILL_EFFECTS)
    async with store.database.engine.connect() as connection:
        # Statistics, and on PostgreSQL the visibility map: what autovacuum has done before anybody looks.
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await _say(plain, "ANALYZE" if store.database.is_sqlite else "VACUUM ANALYZE")


async def _say(connection: AsyncConnection, command: str) -> None:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.execute(command)


async def plans_of(database: Database, script: Script) -> list[str]:
    """How the database finds the rows of every recorded statement."""
    wanted: dict[str, Statement] = {}
    for statement in script.statements:
        if statement.sql.lstrip().upper().startswith(("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")):
            wanted.setdefault(statement.sql, statement)
    plans = []
    async with database.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        for statement in wanted.values():
            first = statement.parameters[0] if statement.many else statement.parameters
            if plan := await _plan(raw, database.is_sqlite, statement.sql, first):
                plans.append(plan)
    return plans


async def _plan(raw: Any, is_sqlite: bool, sql: str, parameters: Any) -> str:
    if is_sqlite:
        rows = await (await raw.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)).fetchall()
        return "; ".join(row[3] for row in rows)
    rows = await raw.fetch(f"EXPLAIN {sql}", *parameters)
    return "; ".join(row[0] for row in rows)
