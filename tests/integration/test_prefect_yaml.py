"""The two lines of the README on a server of its first day: ``gda apply --system``, then ``prefect deploy --all``."""

import asyncio
import sys
from pathlib import Path

import pytest

from deployments.apply import read_existing
from deployments.plan import plan
from deployments.pools import ensure_pool, pool_specs
from deployments.system import apply_system, read_system_specs
from gda.cli.deploy import apply_plan, make_plan
from gda.errors import Unavailable
from gda.settings import Settings, load_settings
from tests.builders import a_store, a_user_with_digest
from tests.support.prefect_server import PrefectServer, running_prefect_server

ROOT = Path(__file__).parents[2]
FILE = ROOT / "prefect.yaml"
JOBS = len(read_system_specs(FILE, Settings()))
DEPLOY = (sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all")


async def deployed(server: PrefectServer) -> tuple[int, str]:
    """Exit code and output of ``prefect --no-prompt deploy --all`` in the clone's root."""
    child = await asyncio.create_subprocess_exec(
        *DEPLOY, cwd=ROOT, env=server.environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await child.communicate()
    return child.returncode or 0, out.decode()


async def test_the_two_lines_work_on_a_fresh_server_and_agree_with_each_other(prefect_server: PrefectServer) -> None:
    settings = load_settings()
    async with prefect_server.client() as client:
        lines: list[str] = []
        first = await apply_system(client, settings, FILE, on_progress=lines.append)
        assert (first.created, lines[:2]) == (JOBS, ["wrote work pool gda", "wrote work pool gda-system"])
        code, out = await deployed(prefect_server)
        assert code == 0, out
        assert "Deployment 'digest/drain' successfully created" in out
        assert "warn" not in out.lower()
        assert plan(read_system_specs(FILE, settings), await read_existing(client)).lines() == [
            f"0 to create, 0 to update, 0 to delete, {JOBS} unchanged"
        ]
        again = await apply_system(client, settings, FILE, on_progress=(second := []).append)
        assert (again.created, again.updated, again.unchanged) == (0, 0, JOBS)
        assert [line for line in second if not line.startswith("saved block")] == []


async def test_without_pools_prefect_deploy_says_which_one_is_missing(prefect_server: PrefectServer) -> None:
    code, out = await deployed(prefect_server)
    assert code == 1
    assert "'gda'" in out
    assert "does not exist" in out


async def test_a_switch_laid_over_the_file_is_restored_after_prefect_deploy_and_can_be_turned_back(
    prefect_server: PrefectServer,
) -> None:
    off = Settings(digest_drain_enabled=False, digest_drain_cron="*/20 * * * *")
    async with prefect_server.client() as client:
        for settings, cron, active in ((off, "*/20 * * * *", False), (Settings(), "*/5 * * * *", True)):
            await apply_system(client, settings, FILE)
            [drain] = [one for one in await read_existing(client) if one.spec.title == "digest/drain"]
            assert [(one.cron, one.active) for one in drain.spec.schedules] == [(cron, active)]


async def test_apply_restores_what_prefect_deploy_has_taken_from_the_system_jobs(
    prefect_server: PrefectServer, tmp_path: Path
) -> None:
    off = Settings(digest_drain_enabled=False, digest_drain_cron="*/20 * * * *")
    async with prefect_server.client() as client, a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await apply_system(client, off, FILE)
        await a_user_with_digest(store)
        found = await make_plan(store, client, off)
        assert found.summary() == f"1 to create, 0 to update, 0 to delete, {JOBS} unchanged"
        code, out = await deployed(prefect_server)
        assert code == 0, out
        found = await make_plan(store, client, off)
        assert {change.field for change in found.update[0].changes} == {"schedules.default", "tags"}
        await apply_plan(found, client)
        [drain] = [one for one in await read_existing(client) if one.spec.title == "digest/drain"]
        assert [(one.cron, one.active) for one in drain.spec.schedules] == [("*/20 * * * *", False)]
        settled = f"0 to create, 0 to update, 0 to delete, {JOBS + 1} unchanged"
        assert (await make_plan(store, client, off)).summary() == settled


async def test_pools_and_queues_stand_in_order_and_what_a_person_set_there_stays(
    prefect_server: PrefectServer,
) -> None:
    from prefect.client.schemas.actions import WorkPoolUpdate

    pool, _ = pool_specs(Settings(prefect_pool_limit=3))
    async with prefect_server.client() as client:
        assert await ensure_pool(client, pool)
        assert not await ensure_pool(client, pool)
        queues = await client.read_work_queues(work_pool_name="gda")
        assert sorted((queue.priority, queue.name, queue.concurrency_limit) for queue in queues) == [
            (1, "reminder-drain", 1),
            (2, "token-refresh-drain", 1),
            (3, "digest-drain", 1),
            (4, "critical", None),
            (5, "default", None),
            (6, "bulk", None),
        ]
        by_name = {queue.name: queue for queue in queues}
        for name in ("reminder-drain", "bulk"):
            await client.update_work_queue(by_name[name].id, concurrency_limit=7)
        assert await ensure_pool(client, pool)
        after = {queue.name: queue.concurrency_limit for queue in await client.read_work_queues(work_pool_name="gda")}
        assert (after["reminder-drain"], after["bulk"]) == (1, 7)
        template = (await client.read_work_pool("gda")).base_job_template
        mine = {**template, "variables": {**template["variables"], "description": "mine"}}
        await client.update_work_pool(
            "gda", WorkPoolUpdate(is_paused=True, concurrency_limit=9, base_job_template=mine)
        )
        assert await ensure_pool(client, pool)
        found = await client.read_work_pool("gda")
        assert (found.concurrency_limit, found.is_paused, found.base_job_template) == (3, True, mine)


@pytest.mark.slow
async def test_a_closed_server_beyond_loopback_gets_the_blocks_and_an_open_one_does_not(
    prefect_server: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests listen on loopback only, so here loopback counts as far away.
    monkeypatch.setattr("gda.glue.api.leads_to_loopback", lambda _: False)
    async with prefect_server.client() as client:
        with pytest.raises(Unavailable, match="used without authentication"):
            await apply_system(client, Settings(), FILE)
        assert await client.read_block_documents() == []
        assert await client.read_work_pools() == []
    async with running_prefect_server(tmp_path / "closed", auth_string="gda:secret") as closed:
        async with closed.client() as client:
            assert (await apply_system(client, Settings(), FILE)).created == JOBS
        code, out = await deployed(closed)
        assert code == 0, out
