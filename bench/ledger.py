"""What the ledger costs above its own SQL, how long an empty sweep takes, and its CPU beside Prefect's.

Raw means: the very statements and commits that GDA sent, sent again to a copy of the same database through the bare
driver (aiosqlite, asyncpg), on the real schema. Both databases write durably (full sync). For SQLite they are sent once
more through GDA's layer over aiosqlite, which tells what all above that layer costs.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.prefect_cpu import ledger_cpu_seconds, task_run_cpu_seconds
from bench.statements import Script, recorded, replayed
from bench.sweep import Swept, sweep_of
from gda.feed import Feed
from gda.lifecycle import Claim, Settlement, Status
from gda.settings import Settings
from gda.store import Confirmation, Intent, MailCursor, Scope, Store, Waker, Wish, Worker, make_store, open_database
from gda.store.schema import upgrade
from gda.store.settlements import Ending
from tests.support.postgres import SAFE, NoPostgres, Postgres, running_postgres

ALL, WORKER, DONE = Scope("digest"), Worker("bench"), Settlement(Status.DONE, "done", reason="3 messages")
CLAIM_SIZE, AT_ONCE, ROUNDS, BATCH = 256, 64, 3, 500
BUSY = timedelta(seconds=30)
Say = Callable[[str], None]
Body = Callable[[Store], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """Occurrences per second through GDA and through the bare driver, medians of the rounds."""

    per_second: float
    raw_per_second: float
    commits: int
    own_per_second: float | None = None
    """Raw through GDA's own layer over the driver, where there is one."""

    @property
    def ratio(self) -> float:
        """How much of the driver's speed is left."""
        return self.per_second / self.raw_per_second


@dataclass
class Figures:
    """What was measured, by database; CPU in milliseconds per occurrence."""

    paces: dict[str, Pace] = field(default_factory=dict)
    sweeps: dict[str, Swept] = field(default_factory=dict)
    ledger_cpu: float = 0.0
    task_run_cpu: float = 0.0

    @property
    def misses(self) -> list[str]:
        """Bounds that do not hold: half the driver's speed, 50 ms and indexes only, a fifth of a task run's CPU."""
        slow = [f"{name}: {pace.ratio:.2f} of raw" for name, pace in self.paces.items() if pace.ratio < 0.5]
        late = [f"{name}: {one.milliseconds:.0f} ms" for name, one in self.sweeps.items() if one.late]
        scans = [f"{name} reads a whole table: {plan}" for name, one in self.sweeps.items() for plan in one.scans]
        share = [] if self.cpu_share < 0.2 else [f"ledger CPU: {self.cpu_share:.0%} of a task run's"]
        return slow + late + scans + share

    @property
    def cpu_share(self) -> float:
        """The ledger's CPU as a part of a Prefect task run's."""
        return self.ledger_cpu / self.task_run_cpu if self.task_run_cpu else 0.0

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        paces = {name: asdict(pace) | {"ratio": pace.ratio} for name, pace in self.paces.items()}
        sweeps = {name: asdict(one) for name, one in self.sweeps.items()}
        cpu = {"ledger_cpu": self.ledger_cpu, "task_run_cpu": self.task_run_cpu, "cpu_share": self.cpu_share}
        return {"paces": paces, "sweeps": sweeps, **cpu}

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        table: list[tuple[str, str]] = []
        for name, pace in self.paces.items():
            table.append((name, f"{pace.per_second:.0f}/s"))
            table.append((f"  raw, the same {pace.commits} commits", f"{pace.raw_per_second:.0f}/s"))
            table.append(("  ratio", f"{pace.ratio:.2f}"))
            if pace.own_per_second:
                table.append(("  raw through GDA's driver", f"{pace.own_per_second:.0f}/s"))
                table.append(("  ratio", f"{pace.per_second / pace.own_per_second:.2f}"))
        for name, one in self.sweeps.items():
            table.append((f"{name}, beside {one.rows}", f"{one.milliseconds:.1f} ms"))
        table.append(("ledger CPU per occurrence", f"{self.ledger_cpu:.2f} ms"))
        table.append(("Prefect task run's CPU", f"{self.task_run_cpu:.2f} ms"))
        return [*table, ("ledger CPU / task run's", f"{self.cpu_share:.0%}")]


class EarlierClock:
    """The store's clock while schedules are made: far enough back that their slot is due now."""

    async def now(self, connection: AsyncConnection) -> datetime:
        """An instant 65 minutes ago."""
        return datetime.now(UTC) - timedelta(minutes=65)


async def measure(*, occurrences: int, settled: int, say: Say) -> Figures:
    """Measure everything.

    Args:
        occurrences: claimed and settled in one round.
        settled: rows beside which an empty sweep runs.
        say: told what is going on.
    """
    figures = Figures()
    with TemporaryDirectory(prefix="gda-bench-") as folder, _postgres(say) as postgres:
        for name, template in [("SQLite", None), *([("PostgreSQL", postgres)] if postgres else [])]:
            databases = Databases(Path(folder), template)
            say(f"{name}: {ROUNDS} rounds of {occurrences} occurrences")
            figures.paces[f"{name}: batched claim + settle"] = await pace_of(databases, batched, occurrences)
            key = f"{name}: intent + confirm each, {AT_ONCE} at once"
            figures.paces[key] = await pace_of(databases, one_by_one, occurrences)
            say(f"{name}: an empty sweep beside {settled} settled occurrences")
            swept = await sweep_of(await databases.new(), settled)
            figures.sweeps |= {f"{name}: {what}": one for what, one in swept.items()}
        say(f"CPU of the ledger and of Prefect task runs, {BATCH} each")
        figures.ledger_cpu = 1000 / BATCH * await ledger_cpu_seconds(await databases.filled(BATCH))
        figures.task_run_cpu = 1000 / BATCH * await task_run_cpu_seconds(Path(folder), BATCH)
    return figures


@contextmanager
def _postgres(say: Say) -> Any:
    try:
        with running_postgres(options=SAFE) as server:
            yield server
    except NoPostgres as error:
        say(f"PostgreSQL is left out: {error}")
        yield None


class Databases:
    """Makes databases with the newest schema, and copies of them, on SQLite or on a PostgreSQL server."""

    def __init__(self, folder: Path, postgres: Postgres | None) -> None:
        self._folder = folder
        self._postgres = postgres
        self._number = 0

    async def new(self) -> str:
        """The URL of a database with nothing but the schema."""
        url = await self._postgres.create_database() if self._postgres else self._file()
        database = open_database(url)
        await upgrade(database)
        await database.close()
        return url

    async def filled(self, occurrences: int) -> str:
        """The URL of a database whose users' digests are promised and due, in a settled order."""
        url = await self.new()
        past = f"daily {datetime.now(UTC) - timedelta(minutes=30):%H:%M}"
        async with opened(url, clock=EarlierClock()) as store:
            await store.users.add_many([(f"u{n}", f"u{n}@example.org", "UTC") for n in range(occurrences)])
            await store.schedules.add_many([Wish(f"u{n}", "digest", past) for n in range(occurrences)], {})
        async with opened(url) as store:
            await store.ledger.promise(ALL, Waker("schedule"))
            async with store.database.write() as connection:
                # No ties: the same statements must find the same rows in every copy.
                await connection.execute(
                    text("UPDATE gda_occurrences SET priority = CAST(SUBSTR(user_id, 2) AS INTEGER)")
                )
        return url

    async def copy(self, url: str) -> str:
        """The URL of a copy."""
        if self._postgres:
            return await self._postgres.create_database(template=url.rpartition("/")[2])
        copy = self._file()
        await asyncio.to_thread(shutil.copy, url.partition(":///")[2], copy.partition(":///")[2])
        return copy

    def _file(self) -> str:
        self._number += 1
        return f"sqlite+aiosqlite:///{self._folder}/ledger-{self._number}.db"


@asynccontextmanager
async def opened(url: str, clock: Any = None) -> AsyncIterator[Store]:
    """A store that is closed at the end."""
    database = open_database(url, clock=clock)
    try:
        yield make_store(database, Settings())
    finally:
        await database.close()


async def pace_of(databases: Databases, body: Body, occurrences: int) -> Pace:
    """Run ``body`` through GDA, then its statements through the driver, on copies of one database."""
    filled = await databases.filled(occurrences)
    seconds, raw_seconds, own_seconds, commits = list[float](), list[float](), list[float](), 0
    for _ in range(ROUNDS):
        async with opened(await databases.copy(filled)) as store:
            with recorded(store.database) as script:
                started = time.perf_counter()
                await body(store)
                seconds.append(time.perf_counter() - started)
            await require_done(store, occurrences)
        raw_seconds.append(await _sent_again(script, await databases.copy(filled), occurrences))
        if filled.startswith("sqlite"):
            own_seconds.append(await _sent_again(script, await databases.copy(filled), occurrences, own=True))
        commits = script.commits
    own = occurrences / median(own_seconds) if own_seconds else None
    return Pace(occurrences / median(seconds), occurrences / median(raw_seconds), commits, own)


async def _sent_again(script: Script, url: str, occurrences: int, *, own: bool = False) -> float:
    seconds = await replayed(script, url, own=own)
    async with opened(url) as store:
        await require_done(store, occurrences)
    return seconds


async def require_done(store: Store, occurrences: int) -> None:
    """Make sure that what was timed did the work. Raises RuntimeError."""
    counts = await store.history.counts()
    if counts != {Status.DONE: occurrences}:
        raise RuntimeError(f"of {occurrences} occurrences not all are done: {counts}")


async def batched(store: Store) -> None:
    """Claim, start and settle in batches."""
    ledger = store.ledger
    while claims := await ledger.claim(ALL, WORKER, limit=CLAIM_SIZE):
        started = zip(claims, await ledger.start_all(claims), strict=True)
        await ledger.settle_all([Ending(claim, number, DONE) for claim, number in started if isinstance(number, int)])


async def one_by_one(store: Store) -> None:
    """Perform each occurrence for itself with all that a mail needs, many at once."""
    feed = Feed(store.ledger, ALL, WORKER, CLAIM_SIZE, impatient=False)

    async def lane() -> None:
        while (claim := await feed.next()) is not None:
            await perform(store, claim)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(AT_ONCE):
            lanes.create_task(lane())


async def perform(store: Store, claim: Claim) -> None:
    """Start, read, intend, check, confirm and settle: a digest without its mail."""
    number = await store.ledger.start(claim)
    errand = await store.errands.errand(claim)
    content = {"message_ids": [f"{n:016x}" for n in range(10)]}
    await store.effects.intend(Intent(claim, f"<{claim.occurrence.id}@gda.example>", BUSY, content))
    await store.ledger.check(claim)
    await store.errands.confirm(Confirmation(claim, "250 ok", MailCursor(errand.now, ("a", "b"))))
    await store.ledger.settle(claim, number, DONE)
