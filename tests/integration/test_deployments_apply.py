"""Plans carried out on a real Prefect server."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled

from deployments.apply import Applied, apply, read_existing
from deployments.plan import Existing, Plan, plan
from deployments.pools import ensure_pool, pool_specs
from deployments.spec import DeploymentSpec, ScheduleSpec
from gda.errors import Unavailable
from gda.settings import Settings
from tests.support.prefect_server import PrefectServer, running_worker

MORNING = ScheduleSpec("default", "30 7 * * 1-5", "Europe/Berlin", group="default")
EVENING = ScheduleSpec("evening", "0 18 * * *", "Asia/Kathmandu", group="evening")
SCHEMA = {"title": "Parameters", "type": "object", "properties": {"user": {"type": "string"}}}
TINY_FLOW = """
from pathlib import Path
from prefect import flow


@flow(name="tiny", persist_result=False)
async def say(user: str) -> None:
    Path("SAID").write_text(user)
"""


def spec(user: str = "ada", *schedules: ScheduleSpec, **changes: Any) -> DeploymentSpec:
    values: dict[str, Any] = {
        "flow_name": "digest",
        "name": user,
        "entrypoint": "flows.digest.deliver_digests",
        "schedules": schedules or (MORNING,),
        "parameters": {"user": user},
        "tags": ("gda", "kind:digest", f"user:{user}"),
        "description": "every weekday",
        "version": "1",
        "parameter_schema": SCHEMA,
    }
    return DeploymentSpec(**values | changes)


async def planned(client: PrefectClient, *wanted: DeploymentSpec) -> Plan:
    return plan(wanted, await read_existing(client))


async def applied(client: PrefectClient, *wanted: DeploymentSpec) -> Applied:
    return await apply(await planned(client, *wanted), client)


async def with_pools(client: PrefectClient) -> None:
    for pool in pool_specs(Settings()):
        await ensure_pool(client, pool)


async def the_one(client: PrefectClient) -> Existing:
    [only] = await read_existing(client)
    return only


async def call(client: PrefectClient, method: Any, path: str, body: Any = None) -> Any:
    response = await client.request(method, cast(Any, path), json=body)
    return response.json() if response.content else None


async def runs_of(client: PrefectClient, deployment: str) -> set[str]:
    body = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    return {run["id"] for run in await call(client, "POST", "/flow_runs/filter", body)}


async def test_what_is_applied_is_read_back_equal_and_a_second_apply_touches_nothing(
    prefect_server: PrefectServer,
) -> None:
    async with prefect_server.client() as client:
        await with_pools(client)
        wanted = [spec("ada", MORNING, EVENING), spec("bob", replace(MORNING, active=False))]
        lines: list[str] = []
        first = await apply(await planned(client, *wanted), client, on_progress=lines.append)
        assert first == Applied(created=2, updated=0, deleted=0, unchanged=0)
        assert sorted(lines) == ["created digest/ada", "created digest/bob"]
        before = await call(client, "POST", "/deployments/filter", {})
        run = await client.create_flow_run_from_deployment(before[0]["id"], state=Scheduled())
        second = await applied(client, *wanted)
        assert second == Applied(created=0, updated=0, deleted=0, unchanged=2)
        after = await call(client, "POST", "/deployments/filter", {})
        assert [one["updated"] for one in after] == [one["updated"] for one in before]
        assert str(run.id) in await runs_of(client, before[0]["id"])


async def test_drift_made_in_the_ui_is_healed_and_schedules_that_stay_keep_their_ids(
    prefect_server: PrefectServer,
) -> None:
    async with prefect_server.client() as client:
        await with_pools(client)
        wanted = spec("ada", MORNING, EVENING)
        await applied(client, wanted)
        clean = await the_one(client)
        path = f"/deployments/{clean.id}"
        by_hand = [{"schedule": {"interval": 3600}, "active": True}]
        await call(client, "POST", f"{path}/schedules", by_hand)
        await call(client, "DELETE", f"{path}/schedules/{clean.schedule_ids['evening']}")
        other = {"schedule": {"cron": "1 1 * * *", "timezone": "UTC"}}
        await call(client, "PATCH", f"{path}/schedules/{clean.schedule_ids['default']}", other)
        drift = {
            "description": "mine now",
            "concurrency_limit": 5,
            "tags": ["gda", "user:ada"],
            "work_queue_name": "bulk",
        }
        await call(client, "PATCH", path, {**drift, "work_pool_name": "gda"})
        found = await planned(client, wanted)
        fields = {change.field for change in found.update[0].changes}
        assert fields >= {"description", "concurrency_limit", "tags", "work_queue", "schedules.default"}
        assert len([one for one in fields if one.startswith("schedules.")]) == 3
        assert await apply(found, client) == Applied(created=0, updated=1, deleted=0, unchanged=0)
        healed = await the_one(client)
        assert healed.spec == clean.spec
        assert healed.foreign == ()
        assert healed.schedule_ids["default"] == clean.schedule_ids["default"]
        assert (await planned(client, wanted)).changes == 0


async def test_the_last_schedule_of_a_deployment_can_be_taken_away(prefect_server: PrefectServer) -> None:
    async with prefect_server.client() as client:
        await with_pools(client)
        await applied(client, spec())
        await applied(client, replace(spec(), schedules=()))
        assert (await the_one(client)).spec.schedules == ()
        await applied(client, spec())
        assert (await the_one(client)).spec.schedules == (MORNING,)


async def test_what_a_hand_paused_in_prefect_stays_paused_through_edits(prefect_server: PrefectServer) -> None:
    async with prefect_server.client() as client:
        await with_pools(client)
        await applied(client, spec("ada"), spec("bob"))
        ada, bob = await read_existing(client)
        await call(client, "PATCH", f"/deployments/{ada.id}/schedules/{ada.schedule_ids['default']}", {"active": False})
        await client.pause_deployment(bob.id)
        edited = [spec("ada", description="new"), spec("bob", replace(MORNING, cron="0 9 * * *"))]
        found = await planned(client, *edited)
        assert [(one.title, one.schedule) for one in found.paused_by_hand] == [
            ("digest/ada", "default"),
            ("digest/bob", None),
        ]
        await apply(found, client)
        ada, bob = await read_existing(client)
        assert (ada.spec.description, ada.spec.schedules[0].active) == ("new", False)
        assert (bob.spec.schedules[0].cron, bob.spec.paused) == ("0 9 * * *", True)


async def test_a_pause_of_ours_is_resumed_by_us(prefect_server: PrefectServer) -> None:
    async with prefect_server.client() as client:
        await with_pools(client)
        await applied(client, spec())
        await applied(client, spec("ada", replace(MORNING, active=False)))
        paused = await the_one(client)
        assert (paused.spec.schedules[0].active, "paused:default" in paused.spec.tags) == (False, True)
        await applied(client, spec())
        resumed = await the_one(client)
        assert resumed.spec == spec()


async def test_deleting_takes_our_deployment_with_its_waiting_runs_and_leaves_others(
    prefect_server: PrefectServer,
) -> None:
    async with prefect_server.client() as client:
        await with_pools(client)
        await applied(client, spec("ada"), replace(spec("drain"), tags=("gda", "system")))
        ada = next(one for one in await read_existing(client) if one.spec.name == "ada")
        for state in (Scheduled(), Scheduled(name="AwaitingConcurrencySlot")):
            await client.create_flow_run_from_deployment(ada.id, state=state)
        assert len(await runs_of(client, ada.id)) >= 2
        assert (await applied(client)).deleted == 1
        assert [one.spec.title for one in await read_existing(client)] == ["digest/drain"]
        assert await runs_of(client, ada.id) == set()


async def test_an_apply_that_was_interrupted_is_completed_by_the_next(prefect_server: PrefectServer) -> None:
    wanted = [spec(f"user{number:02}") for number in range(24)]
    async with prefect_server.client() as client:
        await with_pools(client)
        begun = asyncio.Event()
        task = asyncio.create_task(apply(plan(wanted, []), client, on_progress=lambda _: begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with prefect_server.client() as client:
        left = await planned(client, *wanted)
        assert 0 < len(left.create) < len(wanted)
        await apply(left, client)
        assert (await planned(client, *wanted)).changes == 0


async def test_a_missing_work_pool_is_said_in_one_sentence(prefect_server: PrefectServer) -> None:
    async with prefect_server.client() as client:
        with pytest.raises(Unavailable, match=r"answered 404: .*Work pool .*gda.* not found"):
            await applied(client, spec())


async def test_an_api_that_is_away_is_said_in_one_sentence(prefect_server: PrefectServer) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from tests.support.prefect_server import free_port

    url = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            with pytest.raises(Unavailable, match=f"reading deployments failed: the Prefect API at {url}.* cannot be"):
                await read_existing(client)


@pytest.mark.slow
async def test_a_worker_elsewhere_runs_a_module_entry_point_without_pull_steps(
    prefect_server: PrefectServer, tmp_path: Path
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "tiny_flow.py").write_text(TINY_FLOW)
    tiny = spec(flow_name="tiny", entrypoint="tiny_flow.say", job_variables={"working_dir": str(tmp_path)})
    async with prefect_server.client() as client:
        await with_pools(client)
        await applied(client, tiny)
        path = {"PYTHONPATH": str(modules)}
        async with running_worker(prefect_server, "gda", home=tmp_path / "elsewhere", environment=path):
            run = await client.create_flow_run_from_deployment((await the_one(client)).id)
            ended = await finished(client, run)
    assert ended.state is not None
    assert ended.state.is_completed(), ended.state.message
    assert (tmp_path / "SAID").read_text() == "ada"


async def finished(client: PrefectClient, run: FlowRun) -> FlowRun:
    """The flow run once it has ended."""
    async with asyncio.timeout(90):
        while not (found := await client.read_flow_run(run.id)).state or not found.state.is_final():
            await asyncio.sleep(0.2)
    return found


async def test_settings_reach_a_process_elsewhere_that_knows_only_the_api(
    prefect_server: PrefectServer, tmp_path: Path, gda_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import blocks
    from gda.settings import load_settings
    from gda.vault import Vault

    monkeypatch.setenv("GDA_SMTP_PASSWORD", "hush")
    monkeypatch.setenv("GDA_MAIL_SETTLING_SECONDS", "30")
    here = load_settings()
    sealed = Vault.from_settings(here).seal("ada", "token")
    async with prefect_server.client() as client:
        saved = await blocks.register_all(here)
        assert await blocks.register_all(here) == saved
        shown = json.dumps(await call(client, "POST", "/block_documents/filter", {}))
        assert "hush" not in shown
    code = f"""
import asyncio, blocks, json
from gda.vault import Vault
got = asyncio.run(blocks.load_settings(claim_size=3))
print(json.dumps([got.database, got.smtp_password.get_secret_value(), got.mail_settling_seconds, got.claim_size,
    got.concurrency, Vault.from_settings(got).open("ada", {sealed!r})]))
"""
    environment = prefect_server.environment(HOME=str(tmp_path), GDA_HOME=str(tmp_path / "x"), GDA_CONCURRENCY="9")
    for name in ("GDA_SMTP_PASSWORD", "GDA_MAIL_SETTLING_SECONDS"):
        del environment[name]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    # The block says 64, and a block wins over the environment of the machine that reads it.
    assert json.loads(out) == [f"sqlite+aiosqlite:///{gda_home}/gda.db", "hush", 30, 3, 64, "token"]
