"""A batch too large for one process: the flow run asks a real Prefect server for others, which share by claiming."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow_async

from deployments.system import apply_system, find_file
from flows.digest import deliver_digests
from gda.glue.shards import create_shards
from gda.lifecycle import Status
from gda.store import Scope, Waker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest
from tests.support.flow_runs import Scene, a_scene

pytestmark = pytest.mark.slow


async def performed(scene: Scene, run: FlowRun) -> None:
    """Perform a run as a worker's child does."""
    await run_flow_async(deliver_digests, flow_run=run, parameters={}, return_type="state")


async def runs_of(scene: Scene, run: FlowRun) -> list[FlowRun]:
    found = await scene.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"tags": {"all_": ["shard"]}})
    )
    return [one for one in found if str(run.id) in (one.idempotency_key or "")]


async def test_a_large_batch_asks_for_company_once_and_company_asks_for_none(
    prefect_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = ("ada", "bruno", "dina")
    async with a_scene(prefect_server, tmp_path, monkeypatch, *users, shard_size=1, shard_runs=2) as scene:
        await apply_system(scene.client, scene.house.settings, find_file())
        drain = await scene.client.read_deployment_by_name("digest/drain")
        await scene.owed(*users)
        run = await scene.client.create_flow_run_from_deployment(drain.id)

        await performed(scene, run)
        company = await runs_of(scene, run)
        for one in company:
            await performed(scene, one)
        asked_again = await create_shards(run, 2)
        after = await runs_of(scene, run)
        rows = await scene.house.store.history.list()
        await prefect_server.emptied()

    assert sorted(one.name.rpartition(" ")[2] for one in company) == ["1", "2"]
    assert {one.deployment_id for one in company} == {drain.id}
    assert (run.work_queue_name, {one.work_queue_name for one in company}) == ("digest-drain", {"default"})
    assert (asked_again, {one.id for one in after}) == (2, {one.id for one in company})
    assert [row.status for row in rows] == [Status.DONE] * 3


async def test_a_small_batch_stays_alone(prefect_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", shard_size=1, shard_runs=2) as scene:
        await apply_system(scene.client, scene.house.settings, find_file())
        drain = await scene.client.read_deployment_by_name("digest/drain")
        await scene.owed("ada")
        run = await scene.client.create_flow_run_from_deployment(drain.id)
        await performed(scene, run)
        company = await runs_of(scene, run)
        await prefect_server.emptied()

    assert company == []


@pytest.mark.parametrize(("refusals", "expected"), [(1, 2), (99, 0)])
async def test_shards_that_a_busy_server_refuses_are_asked_for_again_and_the_batch_never_fails_for_them(
    prefect_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refusals: int,
    expected: int,
) -> None:
    request, refused = PrefectClient.request, []

    async def busy(client: PrefectClient, method: Any, path: Any, **more: Any) -> httpx.Response:
        if not str(path).endswith("create_flow_run/bulk") or len(refused) >= refusals:
            return await request(client, method, path, **more)
        refused.append(path)
        error = "(sqlite3.OperationalError) database is locked\n[SQL: INSERT INTO flow_run]\n[parameters: {}]"
        return httpx.Response(200, json={"results": [{"status": "FAILED", "error": error} for _ in more["json"]]})

    async with a_scene(prefect_server, tmp_path, monkeypatch) as scene:
        await apply_system(scene.client, scene.house.settings, find_file())
        drain = await scene.client.read_deployment_by_name("digest/drain")
        run = await scene.client.create_flow_run_from_deployment(drain.id)
        with monkeypatch.context() as patched:
            patched.setattr(PrefectClient, "request", busy)
            created = await create_shards(run, 2)
        company = await runs_of(scene, run)
        await prefect_server.emptied()

    warnings = [record.getMessage() for record in caplog.records if record.name == "gda.glue"]
    assert (created, len(company)) == (expected, expected)
    assert warnings == ["2 of 2 shards were refused: (sqlite3.OperationalError) database is locked"] * (expected == 0)


async def test_the_backlog_counts_what_is_ready_or_not_promised_yet(database_url: str) -> None:
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        for name in ("ada", "bruno", "dina"):
            await a_user_with_digest(store, name, expression="daily 07:30")
        everyone = Scope("digest")
        early = await store.ledger.backlog(everyone)
        clock.advance(hours=2)
        unpromised = await store.ledger.backlog(everyone)
        await store.ledger.promise(Scope("digest", user_id="ada"), Waker("drain"))
        mixed = await store.ledger.backlog(everyone)
        await store.users.set_status("bruno", "paused")
        without_bruno = await store.ledger.backlog(everyone)

    assert (early, unpromised, mixed, without_bruno) == (0, 3, 3, 2)
