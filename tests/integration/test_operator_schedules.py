"""An operator's schedule on a real Prefect server and worker: deployed, woken by its own cron, and by hand."""

from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from deployments.apply import apply, read_existing
from deployments.kinds import GENERIC, load_kind
from deployments.operator import operator_deployments
from deployments.plan import PausedByHand, Plan, plan
from deployments.spec import KindSpec
from deployments.system import apply_system, find_file
from gda.declare import job_type
from gda.lifecycle import Status
from gda.operator import every, save
from gda.registry import Registry
from gda.settings import Settings
from gda.store import Store
from tests.builders import a_store
from tests.support.flow_runs import environment_of
from tests.support.prefect_server import running_worker
from tests.support.town import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MODULE = """
from gda.declare import job_type
from gda.outcome import Done

@job_type(kind="tally")
async def tally(job):
    return Done(f"{job.occurrence.payload or ''}{job.occurrence.user_id or 'nobody'}")
"""


def installed(folder: Path) -> Path:
    """A package that brings the kind ``tally``, as pip would leave it."""
    place = folder / "tallies-1.dist-info"
    place.mkdir(parents=True)
    (folder / "tallies.py").write_text(MODULE)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: tallies\nVersion: 1\n")
    (place / "entry_points.txt").write_text("[gda.job_types]\ntally = tallies:tally\n")
    return folder


async def planned(client: PrefectClient, store: Store, settings: Settings) -> Plan:
    kinds = {"tally": KindSpec("run-job", GENERIC, kind="tally", generic=True)}
    wanted = operator_deployments(await store.schedules.all(), kinds, load_kind(GENERIC), settings)
    there = [one for one in await read_existing(client) if "operator" in one.spec.tags]
    return plan(wanted, there)


async def ended(client: PrefectClient, run: FlowRun) -> FlowRun:
    async def final() -> FlowRun | None:
        found = await client.read_flow_run(run.id)
        return found if found.state and found.state.is_final() else None

    return await eventually(final, f"{run.name} has ended")


async def test_its_cron_with_seconds_wakes_it_quick_run_means_the_latest_slot_and_a_pause_stays(
    prefect_server, tmp_path
):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    settings = Settings(database_url=url, home=tmp_path / "home", sweep_enabled=False, digest_drain_enabled=False)
    registry = Registry()
    registry.register(job_type(kind="tally")(lambda job: None))
    environment = environment_of(settings) | {"PYTHONPATH": str(installed(tmp_path / "installed"))}
    async with a_store(url) as store, prefect_server.client() as client:
        await apply_system(client, settings, find_file())
        await save(store.schedules, registry, [every(20).seconds.do("tally", name="often")])
        first = await apply(await planned(client, store, settings), client)
        again = await planned(client, store, settings)
        deployment = await client.read_deployment_by_name("run-job/operator tally")
        async with running_worker(prefect_server, "gda", home=tmp_path / "worker", environment=environment):

            async def scheduled():
                done = [row for row in await store.history.list(kind="tally") if row.status is Status.DONE]
                return done if any(row.woken_by == "schedule" for row in done) else None

            done = await eventually(scheduled, "its cron has woken it")
            await client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
            by_hand = await ended(client, await client.create_flow_run_from_deployment(deployment.id))
        paused = await planned(client, store, settings)
        await client.delete_deployment(deployment.id)

    assert (first.created, again.changes) == (1, 0)
    assert [one.schedule.cron for one in deployment.schedules] == ["* * * * * */20"]
    assert {(row.user_id, row.reason) for row in done} == {(None, "nobody")}
    assert by_hand.state is not None
    assert by_hand.state.is_completed()
    said = str(by_hand.state.message)
    assert "settled" in said or said.startswith("1 done"), "slots that passed meanwhile may be refused beside it"
    assert paused.changes == 0
    assert paused.paused_by_hand == (PausedByHand("run-job/operator tally", "often"),)
