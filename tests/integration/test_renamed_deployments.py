"""A kind's rename as Prefect sees it: old deployments still work, and apply puts new ones in their place."""

from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient

from deployments.apply import apply, read_existing
from deployments.kinds import load_kinds
from deployments.plan import plan
from deployments.pools import ensure_pool, pool_specs
from deployments.spec import user_deployments
from flows.run_job import run_job
from gda.declare import job_type
from gda.outcome import Done
from gda.registry import Registry
from gda.renaming import adopt_renamed
from gda.settings import Settings
from gda.store import Store, Wish
from tests.support.flow_runs import a_scene

pytestmark = pytest.mark.slow


def release(kind: str, *aliases: str) -> Registry:
    """What is installed: one kind, by its name of that release."""
    registry = Registry()
    registry.register(job_type(kind=kind, aliases=aliases)(lambda job: Done(f"as {kind}")))
    return registry


async def applied(client: PrefectClient, store: Store, registry: Registry) -> list[str]:
    """Apply as `gda apply` does for users; returns the titles of what Prefect has then."""
    await adopt_renamed(store, registry)
    wanted = user_deployments(await store.schedules.all(), load_kinds(registry), Settings())
    await apply(plan(wanted, await read_existing(client)), client)
    return sorted(one.spec.title for one in await read_existing(client))


async def test_a_deployment_of_the_earlier_name_wakes_the_present_kind_until_apply_replaces_it(
    prefect_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    old, new = release("inventory"), release("stock-count", "inventory")
    async with a_scene(prefect_server, tmp_path, monkeypatch) as scene:
        store, client = scene.house.store, scene.client
        await store.schedules.remove("ada", "digest", "default")
        await store.schedules.set(Wish("ada", "inventory", "daily 07:30"))
        await ensure_pool(client, pool_specs(Settings())[0])
        before = await applied(client, store, old)
        deployment = await client.read_deployment_by_name(before[0])
        [schedule] = deployment.schedules
        await client.update_deployment_schedule(deployment.id, schedule.id, active=False)

        monkeypatch.setattr("flows.run_job.load_registry", lambda: new)
        states = [await run_job(**deployment.parameters, return_state=True) for _ in range(2)]
        [row] = await store.history.list()
        after = await applied(client, store, new)
        [kept] = (await client.read_deployment_by_name(after[0])).schedules
        again = await applied(client, store, new)
        await prefect_server.emptied()

    assert (before, after, again) == (["run-job/inventory:ada"], *[["run-job/stock-count:ada"]] * 2)
    assert deployment.parameters == {"kind": "inventory", "user": "ada"}
    assert states[0].message == "1 done"
    assert "already settled by occurrence" in states[1].message
    assert (row.kind, row.reason) == ("stock-count", "as stock-count")
    assert not kept.active
