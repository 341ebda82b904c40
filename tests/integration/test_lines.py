"""Late runs of a deployment against a real Prefect server: who supersedes whom, and when a drain has a stand-in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow_async
from prefect.states import Crashed, Pending, Running

from deployments.system import apply_system, find_file
from flows.digest import deliver_digests
from flows.overdue_scan import scan_overdue
from gda.glue.drains import ensure_stand_in
from tests.support.flow_runs import Scene, a_scene, missed_runs

pytestmark = pytest.mark.slow


async def names_of_states(scene: Scene, runs: list[FlowRun]) -> list[str]:
    found = [await scene.client.read_flow_run(run.id) for run in runs]
    return [run.state.name if run.state and run.state.name else "" for run in found]


@pytest.mark.parametrize(("name", "code"), [("digest/drain", deliver_digests), ("overdue-scan/scan", scan_overdue)])
async def test_the_first_late_run_that_begins_supersedes_those_behind_it_but_not_what_a_person_asked_for(
    prefect_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: Any
) -> None:
    async with a_scene(prefect_server, tmp_path, monkeypatch) as scene:
        await apply_system(scene.client, scene.house.settings, find_file())
        others = await missed_runs(scene.client, "reminder/drain", timedelta(minutes=3), datetime.now(UTC))
        first, *behind = await missed_runs(scene.client, name, timedelta(hours=1), datetime.now(UTC))
        asked = await scene.client.create_flow_run_from_deployment(first.deployment_id)
        await run_flow_async(code, flow_run=first, parameters={}, return_type="state")
        states = await names_of_states(scene, [first, asked, *behind])
        untouched = await names_of_states(scene, others)
        await prefect_server.emptied()

    assert len(behind) >= 3
    assert states == ["Completed", "Scheduled", *["Superseded"] * len(behind)]
    assert set(untouched) <= {"Scheduled", "Late"}


async def test_a_run_in_time_asks_prefect_for_nothing(
    prefect_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_scene(prefect_server, tmp_path, monkeypatch) as scene:
        await apply_system(scene.client, scene.house.settings, find_file())
        *behind, last = await missed_runs(scene.client, "reminder/drain", timedelta(minutes=3), datetime.now(UTC))
        in_time = last.model_copy(update={"expected_start_time": datetime.now(UTC)})
        await run_flow_async(deliver_digests, flow_run=in_time, parameters={}, return_type="state")
        states = await names_of_states(scene, behind)
        await prefect_server.emptied()

    assert behind
    assert set(states) <= {"Scheduled", "Late"}


async def test_a_drain_has_a_stand_in_only_while_a_run_of_its_schedule_waits_behind_another(
    prefect_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_scene(prefect_server, tmp_path, monkeypatch) as scene:
        nowhere = await ensure_stand_in("reminder")
        await apply_system(scene.client, scene.house.settings, find_file())
        first, *behind = await missed_runs(scene.client, "reminder/drain", timedelta(minutes=3), datetime.now(UTC))
        free = await ensure_stand_in("reminder")
        for state in (Pending(), Running()):
            await scene.client.set_flow_run_state(first.id, state, force=True)
        now = datetime.now(UTC)
        held = [await ensure_stand_in("reminder", clock=lambda: now) for _ in range(3)]
        tagged = FlowRunFilter.model_validate({"tags": {"all_": ["drain"]}})
        stand_ins = await scene.client.read_flow_runs(flow_run_filter=tagged)
        for run in behind:
            await scene.client.set_flow_run_state(run.id, Crashed(), force=True)
        alone = await ensure_stand_in("reminder")
        await prefect_server.emptied()

    assert (nowhere, free, held, alone) == (False, False, [True] * 3, False)
    assert [run.work_queue_name for run in stand_ins] == ["critical"]
