"""CPU of this process: the ledger's for a batch, and Prefect's for as many task runs that do nothing."""

import asyncio
import time
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from gda.glue.batch import quieten_endings
from gda.job import Job, JobType
from gda.outcome import Done
from gda.retry import RetryPolicy
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Waker, Worker, make_store, open_database
from tests.support.prefect_server import running_prefect_server

AT_ONCE = 64


async def ledger_cpu_seconds(url: str) -> float:
    """Serve one wake-up for everything that is due at ``url`` with jobs that do nothing."""

    async def nothing(_: Job) -> Done:
        return Done()

    settings = Settings(early_seconds=0)
    database = open_database(url)
    try:
        desk = Desk(make_store(database, settings), JobType("digest", nothing, RetryPolicy()), settings)
        call = WakeUp(Scope("digest"), Worker("bench"), Waker("drain"))
        started = time.process_time()
        await wake(desk, call, lambda claim: settle_alone(desk, claim))
        return time.process_time() - started
    finally:
        await database.close()


@task(name="nothing", task_run_name="{label}", persist_result=False, cache_policy=NO_CACHE)
async def do_nothing(label: str) -> None:
    """A Prefect task whose body costs nothing."""


@flow(name="nothings", version="1", persist_result=False)
async def do_nothings(count: int) -> float:
    """Run the task ``count`` times, many at once; the CPU seconds of that alone."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await do_nothing(f"u{number} 2026-03-10T07:30")

    started = time.process_time()
    async with asyncio.TaskGroup() as lanes:
        for _ in range(AT_ONCE):
            lanes.create_task(lane())
    return time.process_time() - started


async def task_run_cpu_seconds(folder: Path, count: int) -> float:
    """Run ``count`` Prefect task runs in one flow run against a server of its own process, logged as GDA's are."""
    quieten_endings()
    async with running_prefect_server(folder / "prefect") as server, server.client():
        return await do_nothings(count)
