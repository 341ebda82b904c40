"""Thousands of enqueued jobs that do nothing, through a real Prefect server and one process worker."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import SecretStr

from bench.noop import KINDS, install
from bench.processes import Watch, cpu_seconds, server_pid
from deployments.system import apply_system, find_file
from gda.cli.demo.stage import PREFECT_DATABASE
from gda.cli.servers import SERVER_ENVIRONMENT
from gda.enqueue import NewJob, enqueue_many
from gda.glue.drains import ensure_drain
from gda.job import JobType
from gda.lifecycle import Status
from gda.registry import Registry
from gda.settings import Settings
from gda.store import Store, make_store, open_database, upgrade
from tests.support.prefect_server import PrefectServer, running_prefect_server, running_worker

BOUND_SECONDS = 180.0
PATIENCE_SECONDS = 1200.0
LOOK_EVERY_SECONDS = 0.25
RUNS_EVERY_SECONDS = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """One kind's jobs: times in seconds, CPU in milliseconds per job, memory in MiB, the machine's load at the end."""

    chunk: int
    jobs: int
    enqueue_seconds: float
    first_settle_seconds: float
    settle_seconds: float
    flow_runs: int
    crashed_runs: int
    cpu_flow: float
    cpu_server: float
    cpu_worker: float
    peak_mebibytes: float
    load: float

    @property
    def seconds(self) -> float:
        """From the call of ``enqueue_many`` to the last settlement."""
        return self.enqueue_seconds + self.settle_seconds

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        title = f"chunk={self.chunk}, {self.jobs} jobs"
        return [
            (f"{title}: enqueue_many", f"{self.enqueue_seconds:.1f} s"),
            (f"{title}: from then to the first settlement", f"{self.first_settle_seconds:.1f} s"),
            (f"{title}: from then to the last settlement", f"{self.settle_seconds:.1f} s"),
            (f"{title}: done per second", f"{self.jobs / self.seconds:.0f}"),
            (f"{title}: flow runs / crashed among them", f"{self.flow_runs} / {self.crashed_runs}"),
            (f"{title}: CPU per job, flow runs", f"{self.cpu_flow:.2f} ms"),
            (f"{title}: CPU per job, Prefect server", f"{self.cpu_server:.2f} ms"),
            (f"{title}: CPU per job, worker", f"{self.cpu_worker:.2f} ms"),
            (f"{title}: peak memory of a flow run", f"{self.peak_mebibytes:.0f} MiB"),
            (f"{title}: load of the machine, its cores", f"{self.load:.1f}, {os.cpu_count()}"),
        ]


@dataclass(frozen=True, slots=True)
class Figures:
    """All rounds; ``misses`` says which were slower than the bound."""

    rounds: tuple[Round, ...]

    @property
    def misses(self) -> list[str]:
        """One sentence for each round that took too long."""
        return [
            f"chunk={one.chunk}: {one.jobs} jobs took {one.seconds:.0f} s, more than {BOUND_SECONDS:.0f} s"
            for one in self.rounds
            if one.seconds > BOUND_SECONDS
        ]

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {"rounds": [asdict(one) | {"seconds": one.seconds} for one in self.rounds]}

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        return [row for one in self.rounds for row in one.rows()]


@dataclass(frozen=True, slots=True)
class Arena:
    """What the rounds share."""

    store: Store
    settings: Settings
    registry: Registry
    client: PrefectClient
    worker_pid: int
    server_pid: int


async def measure(*, jobs: int, say: Say) -> Figures:
    """Enqueue and perform ``jobs`` of each kind in turn; ``say`` is told what is going on."""
    with TemporaryDirectory(prefix="gda-bench-") as text:
        folder = Path(text)
        settings = Settings(
            home=folder / "gda",
            database_url=SecretStr(f"sqlite+aiosqlite:///{folder}/gda/gda.db"),
            digest_drain_enabled=False,
        )
        install(folder / "installed")
        say("starting the Prefect server")
        async with running_prefect_server(
            folder / "prefect", database_url=PREFECT_DATABASE, **SERVER_ENVIRONMENT
        ) as server:
            return Figures(tuple(await _rounds(server, folder, settings, jobs, say)))


async def _rounds(server: PrefectServer, folder: Path, settings: Settings, jobs: int, say: Say) -> list[Round]:
    registry = Registry()
    for kind in KINDS:
        registry.register(kind)
    settings.home.mkdir(parents=True)
    database = open_database(settings.database)
    path = os.pathsep.join(filter(None, (str(folder / "installed"), os.environ.get("PYTHONPATH"))))
    environment = {"GDA_HOME": str(settings.home), "PYTHONPATH": path}
    try:
        await upgrade(database)
        async with server.client() as client:
            await apply_system(client, settings, find_file())
            async with running_worker(
                server, settings.prefect_pool, home=folder / "worker", environment=environment
            ) as worker:
                pid = server_pid(server.api_url)
                arena = Arena(make_store(database, settings), settings, registry, client, worker.pid, pid)
                return [await _round(arena, kind, jobs, say) for kind in KINDS]
    finally:
        await database.close()


async def _round(arena: Arena, kind: JobType, jobs: int, say: Say) -> Round:
    say(f"{jobs} jobs of kind {kind.kind}, {kind.chunk} to a task run")
    before = {pid: cpu_seconds(pid) for pid in (arena.server_pid, arena.worker_pid)}
    with Watch(arena.worker_pid) as watch:
        began = time.monotonic()
        wanted = [NewJob(kind.kind)] * jobs
        await enqueue_many(arena.store.queue, arena.registry, arena.settings, wanted)
        enqueued = time.monotonic()
        if not await ensure_drain(kind.kind, kind.queue):
            raise RuntimeError("no drain is deployed")
        first = await _until_done(arena, kind.kind, 1) - enqueued
        last = await _until_done(arena, kind.kind, jobs) - enqueued
        runs = await _until_idle(arena.client, kind.kind)
    spent = {pid: cpu_seconds(pid) - seconds for pid, seconds in before.items()}
    return Round(
        chunk=kind.chunk,
        jobs=jobs,
        enqueue_seconds=enqueued - began,
        first_settle_seconds=first,
        settle_seconds=last,
        flow_runs=len(runs),
        crashed_runs=crashed(runs),
        cpu_flow=sum(watch.cpu.values()) / jobs * 1000,
        cpu_server=spent[arena.server_pid] / jobs * 1000,
        cpu_worker=spent[arena.worker_pid] / jobs * 1000,
        peak_mebibytes=max(watch.peak.values(), default=0.0),
        load=os.getloadavg()[0],
    )


async def _until_done(arena: Arena, kind: str, count: int) -> float:
    """Wait until so many are done; returns when that was, by the monotonic clock."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    look_at_runs = 0.0
    while (counts := await arena.store.history.counts(kind=kind)).get(Status.DONE, 0) < count:
        if time.monotonic() > look_at_runs:
            look_at_runs = time.monotonic() + RUNS_EVERY_SECONDS
            refuse_idleness(await _drains(arena.client, kind))
        if time.monotonic() > deadline:
            raise RuntimeError(f"the jobs did not come to their end: {counts}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return time.monotonic()


async def _until_idle(client: PrefectClient, kind: str) -> list[FlowRun]:
    """Wait until every drain has ended, so that the next round has the machine to itself."""
    while True:
        runs = await _drains(client, kind)
        if all(run.state and run.state.is_final() for run in runs):
            return runs
        await asyncio.sleep(RUNS_EVERY_SECONDS)


def refuse_idleness(runs: Sequence[FlowRun]) -> None:
    """Stop the measurement when no drain is at work or about to be: nobody would do the rest. Raises RuntimeError."""
    states = [run.state for run in runs if run.state]
    if states and all(state.is_final() for state in states):
        raise RuntimeError(f"all drains have ended, the last as {states[-1].name}: {states[-1].message}")


def crashed(runs: Sequence[FlowRun]) -> int:
    """How many drains did not come to a good end; the others did their share."""
    return sum(bool(run.state and not run.state.is_completed()) for run in runs)


async def _drains(client: PrefectClient, kind: str) -> list[FlowRun]:
    """The flow runs that perform jobs of ``kind``."""
    while True:
        try:
            runs = await client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["run-job"])))
            return [run for run in runs if run.parameters.get("kind") == kind]
        except (
            PrefectHTTPStatusError
        ) as error:  # Its database in memory is locked now and then while states are written.
            if not error.response.is_server_error:
                raise
            await asyncio.sleep(RUNS_EVERY_SECONDS)
