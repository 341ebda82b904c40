"""Ten thousand digests due at one minute in one cohort, on two workers: how fast, how often, and where time goes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from sqlalchemy import func, select

from bench.digests import POOL, settings_for, stats
from bench.mailboxes import make_accounts, make_people
from bench.processes import Watch, cpu_seconds, server_pid
from bench.sampling import gathered, install
from deployments.apply import apply
from deployments.planning import make_plan
from deployments.system import apply_system, find_file
from gda.cli.demo.stage import PREFECT_DATABASE
from gda.cli.servers import SERVER_ENVIRONMENT
from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import Store, Wish, make_store, open_database, upgrade
from gda.store.tables import occurrences
from tests.support.prefect_server import PrefectServer, running_prefect_server, running_worker
from tests.support.sandbox import SpawnedSandbox, spawned_sandbox

PER_SECOND = 40.0
FIXED_MEBIBYTES, KIBIBYTES_EACH = 200.0, 20.0
"""The most that one flow run may hold: what it is born with, and so much for each digest of the burst."""
WORKERS = ("one", "two")
LEAD_SECONDS = 45
"""At least so long before it is due the cohort is deployed, so that Prefect's scheduler has made the run."""
PATIENCE_SECONDS = 1800.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, MiB, and CPU in milliseconds per digest."""

    users: int
    seconds: float
    first_settle_seconds: float
    delivered: int
    duplicates: int
    flow_runs: int
    shares: tuple[int, ...]
    runs_by_worker: tuple[int, ...]
    peaks_mebibytes: tuple[float, ...]
    cpu: dict[str, float]
    prefect_database: str
    load: float

    @property
    def per_second(self) -> float:
        """Digests a second, from the due minute to the last settlement."""
        return self.users / self.seconds

    @property
    def most_mebibytes(self) -> float:
        """What one flow run may hold."""
        return FIXED_MEBIBYTES + KIBIBYTES_EACH * self.users / 1024

    @property
    def misses(self) -> list[str]:
        """One sentence for each missed bar."""
        missed = []
        if (self.delivered, self.duplicates) != (self.users, 0):
            missed.append(f"{self.delivered} of {self.users} were delivered, {self.duplicates} of them twice or more")
        if self.per_second < PER_SECOND:
            missed.append(f"{self.per_second:.1f} digests a second, the bar is at least {PER_SECOND:g}")
        if (peak := max(self.peaks_mebibytes)) > self.most_mebibytes:
            missed.append(f"a flow run held {peak:.0f} MiB, the bar is at most {self.most_mebibytes:.0f}")
        return missed

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        return asdict(self) | {"per_second": self.per_second, "misses": self.misses}

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        peaks = ", ".join(f"{peak:.0f}" for peak in self.peaks_mebibytes)
        return [
            (f"{self.users} digests, due minute to last settlement", f"{self.seconds:.1f} s"),
            ("  due minute to first settlement", f"{self.first_settle_seconds:.1f} s"),
            ("  per second", f"{self.per_second:.1f}"),
            ("delivered / duplicates", f"{self.delivered} / {self.duplicates}"),
            ("flow runs / by worker", f"{self.flow_runs} / {', '.join(map(str, self.runs_by_worker))}"),
            ("digests by flow run", ", ".join(map(str, self.shares))),
            ("peak memory of each flow run, MiB", peaks),
            *((f"CPU per digest: {part}", f"{used:.2f} ms") for part, used in self.cpu.items()),
            ("Prefect's database", self.prefect_database),
            ("load of the machine, its cores", f"{self.load:.1f}, {os.cpu_count()}"),
        ]


@dataclass(frozen=True, slots=True)
class Arena:
    """What takes part."""

    server: PrefectServer
    client: PrefectClient
    sandbox: SpawnedSandbox
    settings: Settings
    store: Store
    samples: Path
    worker_pids: tuple[int, ...]


async def measure(*, users: int, say: Say) -> Figures:
    """Make the users, let the minute come, and wait until every digest is settled; ``say`` is told what is going on."""
    with TemporaryDirectory(prefix="gda-bench-") as text:
        async with _arena(Path(text), say) as arena:
            say(f"making {users} users with mailboxes")
            await make_people(arena.store, arena.settings, await make_accounts(arena.sandbox, users))
            due_at = await _deploy(arena, users)
            say(f"due at {due_at:%H:%M}Z")
            return await _burst(arena, users, due_at)


@asynccontextmanager
async def _arena(folder: Path, say: Say) -> AsyncIterator[Arena]:
    async with AsyncExitStack() as stack:
        say("starting the sandbox, the Prefect server and two workers")
        sandbox = await stack.enter_async_context(spawned_sandbox())
        server = await stack.enter_async_context(
            running_prefect_server(folder / "prefect", database_url=PREFECT_DATABASE, **SERVER_ENVIRONMENT)
        )
        settings = settings_for(folder, sandbox).model_copy(update={"layout": "cohort"})
        settings.home.mkdir(parents=True)
        database = open_database(settings.database)
        stack.push_async_callback(database.close)
        await upgrade(database)
        client = await stack.enter_async_context(server.client())
        await apply_system(client, settings, find_file())
        environment = {"GDA_HOME": str(settings.home)} | install(folder / "samples")
        limit = -(-settings.prefect_pool_limit // len(WORKERS))
        pids = []
        for name in WORKERS:
            worker = running_worker(server, POOL, home=folder / name, name=name, limit=limit, environment=environment)
            pids.append((await stack.enter_async_context(worker)).pid)
        store = make_store(database, settings)
        yield Arena(server, client, sandbox, settings, store, folder / "samples", tuple(pids))


async def _deploy(arena: Arena, users: int) -> datetime:
    """Give everybody one time, a full minute that is not far away, and apply."""
    due_at = (datetime.now(UTC) + timedelta(seconds=LEAD_SECONDS + users / 500)).replace(second=0, microsecond=0)
    due_at += timedelta(minutes=1)
    wishes = [Wish(f"u{n}", "digest", f"daily {due_at:%H:%M}") for n in range(users)]
    await arena.store.schedules.add_many(wishes, {})
    plan = await make_plan(arena.store, arena.client, arena.settings)
    if len(plan.create) != 1:
        raise RuntimeError(f"everybody shall be in one cohort, but the plan creates {len(plan.create)} deployments")
    await apply(plan, arena.client)
    return due_at


async def _burst(arena: Arena, users: int, due_at: datetime) -> Figures:
    watched = {"Prefect server": server_pid(arena.server.api_url), "sandbox": arena.sandbox.process.pid}
    before = {name: cpu_seconds(pid) for name, pid in watched.items()}
    with ExitStack() as stack:
        watches = [stack.enter_context(Watch(pid)) for pid in arena.worker_pids]
        first = await _until_done(arena.store, 1, due_at)
        seconds = await _until_done(arena.store, users, due_at)
        spent = {name: cpu_seconds(pid) - before[name] for name, pid in watched.items()}
        runs = await _ended(arena.client)
    accepted = await stats(arena.sandbox)
    sampled, pids = gathered(arena.samples), {int(path.stem) for path in arena.samples.glob("*.json")}
    whole = sum(sum(watch.cpu.values()) for watch in watches)
    return Figures(
        users=users,
        seconds=seconds,
        first_settle_seconds=first,
        delivered=accepted["accepted"],
        duplicates=accepted["duplicate_occurrences"],
        flow_runs=len(runs),
        shares=await _shares(arena.store),
        runs_by_worker=tuple(len(pids & set(watch.peak)) for watch in watches),
        peaks_mebibytes=tuple(sorted(watch.peak[pid] for watch in watches for pid in pids & set(watch.peak))),
        cpu={name: used / users * 1000 for name, used in _split(spent, sampled, whole).items()},
        prefect_database="SQLite in memory",
        load=os.getloadavg()[0],
    )


def _split(spent: dict[str, float], sampled: dict[str, float], whole: float) -> dict[str, float]:
    """CPU seconds by part; what the samples have missed of the flow runs' ``whole`` is spread over their parts."""
    scale = whole / sum(sampled.values())
    parts = {name: used * scale for name, used in sorted(sampled.items(), key=lambda item: -item[1])}
    together = {"flow runs together": whole, "sandbox": spent["sandbox"]}
    return {"Prefect server": spent["Prefect server"], **parts, **together}


async def _until_done(store: Store, count: int, due_at: datetime) -> float:
    """Wait until so many are done; the seconds since they were due."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (counts := await store.history.counts()).get(Status.DONE, 0) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the digests did not come to their end: {counts}")
        await asyncio.sleep(0.5)
    return (datetime.now(UTC) - due_at).total_seconds()


async def _ended(client: PrefectClient) -> list[FlowRun]:
    """The flow runs that were begun, when all of them have ended. Raises RuntimeError where one failed."""
    begun = FlowRunFilter.model_validate({"start_time": {"is_null_": False}, "deployment_id": {"is_null_": False}})
    while True:
        runs = [run for run in await client.read_flow_runs(flow_run_filter=begun) if run.work_pool_name == POOL]
        if all(run.state and run.state.is_final() for run in runs):
            break
        await asyncio.sleep(0.5)
    if failed := [run.state for run in runs if run.state and not run.state.is_completed()]:
        raise RuntimeError(f"{len(failed)} flow runs did not complete: {failed[0].name} {failed[0].message}")
    return runs


async def _shares(store: Store) -> tuple[int, ...]:
    query = select(func.count()).select_from(occurrences).group_by(occurrences.c.flow_run_id)
    async with store.database.read() as connection:
        return tuple(sorted((await connection.execute(query)).scalars()))
