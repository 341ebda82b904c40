"""The layouts on a real Prefect server: who wakes whom, and that a change of layout loses and doubles nothing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient
from sqlalchemy import update

from deployments.apply import apply, read_existing
from deployments.nightly import apply_at_night
from deployments.planning import applying, make_plan
from deployments.pools import ensure_pool, pool_specs
from gda.errors import NotLeader
from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import Store, Wish
from gda.store.tables import schedules
from tests.support.flow_runs import a_scene
from tests.support.sandbox import plain_mail

pytestmark = pytest.mark.slow

USER, COHORT = Settings(layout="user"), Settings(layout="cohort")


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "1.eml").write_bytes(plain_mail("The only one"))
    return folder


async def laid_out(store: Store, client: PrefectClient, settings: Settings, *, prune: bool = False) -> set[str]:
    """Apply, and return the titles of what is deployed."""
    for pool in pool_specs(settings):
        await ensure_pool(client, pool)
    await apply(await make_plan(store, client, settings, prune=prune), client)
    return {one.spec.title for one in await read_existing(client)}


async def due_since_yesterday(store: Store) -> None:
    """Let every schedule that runs have a slot which nobody woke for."""
    async with store.database.write() as connection:
        now = await store.database.clock.now(connection)
        await connection.execute(
            update(schedules)
            .where(schedules.c.enabled)
            .values(active_from=now - timedelta(days=1), next_due_at=now - timedelta(days=1))
        )


async def test_moving_between_the_layouts_loses_and_doubles_nothing(prefect_server, tmp_path, monkeypatch, mail):
    users = ("ada", "bruno", "chiara")
    async with a_scene(prefect_server, tmp_path, monkeypatch, *users, mail=mail) as scene:
        store, client = scene.house.store, scene.client
        own = {f"digest/{user}" for user in users}
        [cohort] = await store.cohorts.all()
        scope = {"expression": cohort.expression, "timezone": cohort.timezone}

        assert await laid_out(store, client, USER) == own
        await scene.owed("bruno", "chiara")
        await scene.ran(user="ada")
        [shared] = await laid_out(store, client, COHORT)
        together = await scene.ran(tasks=2, **scope)
        again = await scene.ran(tasks=0, **scope)
        assert await laid_out(store, client, USER) == own
        last = await scene.ran(user="chiara", tasks=0)
        settled = await store.history.list()
        mails = [len(scene.house.accepted(user)) for user in users]

    assert (cohort.members, shared.split("/")[0]) == (3, "digest")
    assert (together.state.message, again.state.message) == ("2 done", "nothing due")
    assert "already settled" in last.state.message
    assert ([one.status for one in settled], mails) == ([Status.DONE] * 3, [1, 1, 1])


async def test_a_member_who_joins_before_the_look_up_is_served_and_one_who_has_left_is_not(
    prefect_server, tmp_path, monkeypatch, mail
):
    users = ("ada", "bruno", "chiara")
    async with a_scene(prefect_server, tmp_path, monkeypatch, *users, mail=mail) as scene:
        store = scene.house.store
        [cohort] = await store.cohorts.all()
        await store.schedules.set(Wish("bruno", "digest", "daily 23:11"))
        shared = await laid_out(store, scene.client, COHORT)
        await store.schedules.enable("ada", "digest", "default", enabled=False)
        await store.schedules.set(Wish("bruno", "digest", cohort.expression, catch_up_window=timedelta(days=2)))
        await due_since_yesterday(store)
        served = await scene.ran(tasks=2, expression=cohort.expression, timezone=cohort.timezone)
        mails = [len(scene.house.accepted(user)) for user in users]
        by_day = await laid_out(store, scene.client, COHORT)
        after_night = await laid_out(store, scene.client, COHORT, prune=True)

    assert (served.state.message, mails) == ("2 done", [0, 1, 1])
    assert len(shared) == 2
    assert by_day == shared
    assert len(after_night) == 1
    assert after_night < shared


async def test_a_users_change_to_a_time_that_nobody_has_costs_one_writing_call_and_to_anothers_time_none(
    prefect_server, tmp_path, monkeypatch, mail
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", "bruno", mail=mail) as scene:
        store, client = scene.house.store, scene.client
        await laid_out(store, client, COHORT)
        request, writes = client.request, []

        async def noted(method: Any, path: Any, **more: Any) -> Any:
            if method != "GET" and not path.endswith("/filter"):
                writes.append(f"{method} {path}")
            return await request(method, path, **more)

        monkeypatch.setattr(client, "request", noted)
        await store.schedules.set(Wish("ada", "digest", "daily 23:11"))
        await apply(await make_plan(store, client, COHORT), client)
        alone = list(writes)
        await store.schedules.set(Wish("bruno", "digest", "daily 23:11"))
        await apply(await make_plan(store, client, COHORT), client)

    assert (alone, writes[1:]) == (["POST /deployments/"], [])


@pytest.mark.parametrize("whole", [True, False], ids=["deployment", "schedule"])
async def test_a_pause_made_in_prefect_outlives_the_deployment_it_was_made_on(
    prefect_server, tmp_path, monkeypatch, mail, whole
):
    monkeypatch.setenv("GDA_LAYOUT", "cohort")
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", "bruno", mail=mail) as scene:
        store, client = scene.house.store, scene.client
        await laid_out(store, client, USER)
        ada = await client.read_deployment_by_name("digest/ada")
        if whole:
            await client.pause_deployment(ada.id)
        else:
            await client.update_deployment_schedule(ada.id, ada.schedules[0].id, active=False)
        await apply_at_night(return_state=True)
        [shared] = await store.cohorts.all()
        enabled = {one.user_id: one.enabled for one in await store.schedules.all()}
        await laid_out(store, client, USER)
        [back] = (await client.read_deployment_by_name("digest/ada")).schedules

    assert shared.members == 1
    assert enabled == {"ada": False, "bruno": True}
    assert not back.active


async def test_the_nightly_apply_prunes_and_gives_way_to_whoever_applies(prefect_server, tmp_path, monkeypatch, mail):
    monkeypatch.setenv("GDA_LAYOUT", "cohort")
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        store = scene.house.store
        await laid_out(store, scene.client, USER)
        async with applying(store, COHORT) as leader:
            assert leader.leading
            refused = await apply_at_night(return_state=True)
            with pytest.raises(NotLeader):
                async with applying(store, COHORT):
                    pass
        done = await apply_at_night(return_state=True)
        titles = [one.spec.title for one in await read_existing(scene.client)]

    assert (refused.name, done.name) == ("NotLeader", "Completed")
    assert done.message == "1 to create, 0 to update, 1 to delete, 0 unchanged"
    assert len(titles) == 1
    assert "digest/ada" not in titles
