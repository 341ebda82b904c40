"""Several workers with limits of their own, the pool's queues, and named limits across all of them."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.concurrency.asyncio import concurrency

from deployments.apply import apply
from deployments.limits import ensure_limits
from deployments.plan import plan
from deployments.pools import ensure_pool, pool_specs
from deployments.spec import DeploymentSpec
from deployments.system import apply_system, find_file
from gda.errors import UsageError
from gda.glue.limits import in_turn, limit_name
from gda.settings import Settings, load_settings
from tests.support.prefect_server import running_worker
from tests.support.town import eventually

pytestmark = pytest.mark.slow

WORKERS = {"small": 1, "large": 3}
RUNS = 6
PATIENT_FLOW = """
import os, time
from pathlib import Path
from prefect import flow


@flow(name="patient", persist_result=False)
def wait() -> None:
    here = Path(os.environ["DESK"])
    (here / f"{os.environ['WORKER']}-{os.getpid()}").touch()
    end = time.monotonic() + 100
    while not (here / "GO").exists() and time.monotonic() < end:
        time.sleep(0.1)
"""


def begun(folder: Path) -> dict[str, int]:
    """How many runs have begun on each worker."""
    return {name: len(list(folder.glob(f"{name}-*"))) for name in WORKERS}


@pytest.mark.timeout(240)
async def test_two_workers_with_different_limits_both_work_and_neither_exceeds_its_own(prefect_server, tmp_path):
    (tmp_path / "patient_flow.py").write_text(PATIENT_FLOW)
    spec = DeploymentSpec("patient", "patient", "patient_flow.wait", tags=("gda", "system"), concurrency_limit=None)
    async with prefect_server.client() as client, AsyncExitStack() as stack:
        for pool in pool_specs(Settings(prefect_pool_limit=RUNS)):
            await ensure_pool(client, pool)
        await apply(plan([spec], []), client)
        deployment = await client.read_deployment_by_name("patient/patient")
        runs = [await client.create_flow_run_from_deployment(deployment.id) for _ in range(RUNS)]
        for name, limit in WORKERS.items():
            own = {"PYTHONPATH": str(tmp_path), "DESK": str(tmp_path), "WORKER": name}
            place = running_worker(
                prefect_server, "gda", home=tmp_path / f"home of {name}", name=name, limit=limit, environment=own
            )
            await stack.enter_async_context(place)

        async def all_busy() -> bool:
            return sum(begun(tmp_path).values()) >= sum(WORKERS.values())

        await eventually(all_busy, "both workers are busy")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert begun(tmp_path) == WORKERS
            await asyncio.sleep(0.2)
        (tmp_path / "GO").touch()

        async def all_done() -> bool:
            states = [(await client.read_flow_run(run.id)).state for run in runs]
            return all(state is not None and state.is_completed() for state in states)

        await eventually(all_done, "every run is performed")

    assert sum(begun(tmp_path).values()) == RUNS


async def test_apply_system_makes_queues_by_priority_and_the_named_limits_and_says_nothing_the_second_time(
    prefect_server, database_url
):
    settings = Settings(database_url=database_url, prefect_pool_limit=7, limits="digest=2, invoice-reminder=1")
    async with prefect_server.client() as client:
        said: list[str] = []
        await apply_system(client, settings, find_file(), on_progress=said.append)
        queues = {one.name: one.priority for one in await client.read_work_queues(work_pool_name="gda")}
        pool = await client.read_work_pool("gda")
        limits = await limits_of(client, "digest", "invoice-reminder")
        again: list[str] = []
        await apply_system(client, settings, find_file(), on_progress=again.append)
        changed = await ensure_limits(client, settings.model_copy(update={"limits": "digest=3"}))
        after = await limits_of(client, "digest", "invoice-reminder")
        await forgotten(client, "digest", "invoice-reminder")

    lines = {"reminder-drain": 1, "token-refresh-drain": 2, "digest-drain": 3}
    assert (queues, pool.concurrency_limit) == (lines | {"critical": 4, "default": 5, "bulk": 6}, 7)
    assert {"wrote limit gda-digest-runs=2", "wrote limit gda-invoice-reminder-runs=1"} <= set(said)
    assert limits == [2, 1]
    assert [line for line in again if not line.startswith("saved block")] == []
    assert (changed, after) == (["gda-digest-runs=3"], [3, 1])


async def limits_of(client: PrefectClient, *kinds: str) -> list[int]:
    return [(await client.read_global_concurrency_limit_by_name(limit_name(kind))).limit for kind in kinds]


async def taken(client: PrefectClient, kind: str) -> int:
    """How many slots of the kind's limit are held."""
    return int((await client.read_global_concurrency_limit_by_name(limit_name(kind))).active_slots)


async def forgotten(client: PrefectClient, *kinds: str) -> None:
    for kind in kinds:
        await client.delete_global_concurrency_limit_by_name(limit_name(kind))


async def test_a_run_holds_its_kinds_slot_while_it_works_and_works_without_one_rather_than_never(
    prefect_server, caplog
):
    settings = Settings(limits="digest=1", limit_wait_seconds=1)
    async with prefect_server.client() as client:
        await ensure_limits(client, settings)
        async with in_turn("digest", settings) as held:
            during = await taken(client, "digest")
            async with in_turn("token-refresh", settings) as unlimited:
                pass
        after = await taken(client, "digest")
        async with concurrency(limit_name("digest")), in_turn("digest", settings) as without:
            pass
        await forgotten(client, "digest")

    assert (held, during, after, unlimited, without) == (True, 1, 0, True, False)
    assert "no slot of the limit gda-digest-runs came free within 1 s; working without" in caplog.text


@pytest.mark.parametrize("wrong", ["digest", "digest=0", "digest=2;reminder=1", "Digest=2"])
def test_limits_that_cannot_be_read_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no kind=number; write such as digest=2,reminder=1"):
        load_settings(limits=wrong)
