"""The sweep against a real Prefect server: what it closes and what it leaves, who may sweep, and lost system runs."""

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow, tags
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run
from prefect.states import Cancelling, Crashed, Pending, Running, Scheduled

from deployments.system import apply_system, find_file
from flows.retention import prune_old_rows
from flows.sweep import sweep_once
from gda.glue.alive import known_alive
from gda.glue.closing import end_run
from gda.glue.sweeping import close_runs
from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest
from tests.support.deployed import GRACE, deployed
from tests.support.flow_runs import environment_of, missed_runs, prefect_within_this_process
from tests.support.prefect_server import running_worker
from tests.support.town import eventually

pytestmark = pytest.mark.slow


@flow(name="some-work")
async def some_work() -> None:
    """Never runs here: the tests only need its runs."""


async def a_run(client: PrefectClient, state: Any, *tags: str) -> FlowRun:
    return await client.create_flow_run(some_work, state=state, tags=["gda", *tags])


async def held_by(store: Store, run_id: UUID) -> None:
    """Let a flow run hold ada's latest digest."""
    await a_user_with_digest(store)
    await store.ledger.promise_by_hand(Scope("digest", user_id="ada"), ByHand(), Waker("hand"))
    assert await store.ledger.claim(Scope("digest"), Worker("w", str(run_id)), limit=1)


async def test_lost_runs_are_closed_and_living_ones_by_hand_and_drains_are_left(prefect_server, database_url):
    async with deployed(prefect_server, database_url) as place:
        client = place.client
        lost = [await a_run(client, state) for state in (Running(), Pending(), Cancelling())]
        own, live = await a_run(client, Running()), await a_run(client, Running())
        waiting: Any = Scheduled(name="Late")
        kept = [await a_run(client, waiting, tag) for tag in ("by-hand", "drain")]
        place.clock.advance(minutes=6)
        await held_by(place.store, live.id)
        coming = await place.coming(await place.applied())
        await close_runs(place.store, client, grace=timedelta(days=2), own=str(own.id))
        early = await place.state_of(coming.id)
        place.clock.instant = max(place.clock.instant, coming.expected_start_time + timedelta(minutes=3))
        await place.store.ledger.renew(Worker("w"))
        closed = await close_runs(place.store, client, grace=GRACE, own=str(own.id))
        states = [await place.state_of(run.id) for run in (*lost, own, live, *kept, coming)]
        await client.delete_flow_run(own.id)
        await client.delete_flow_run(live.id)

    assert (early, closed >= 1) == ("Scheduled", True), "Prefect need not have marked it late"
    assert states == ["Crashed", "Crashed", "Cancelled", "Running", "Running", "Late", "Late", "Superseded"]


async def test_a_run_that_prefect_refuses_to_end_does_not_keep_the_others_open(prefect_server, monkeypatch):
    async with prefect_server.client() as client:
        runs = [await a_run(client, Running()) for _ in range(3)]
        gone, done = uuid4(), await a_run(client, Crashed())
        set_state = client.set_flow_run_state

        async def refused_for_the_first(run_id: UUID, state: Any) -> Any:
            if run_id == runs[0].id:
                request = httpx.Request("POST", "http://prefect")
                raise httpx.HTTPStatusError("no", request=request, response=httpx.Response(409, request=request))
            return await set_state(run_id, state)

        monkeypatch.setattr(client, "set_flow_run_state", refused_for_the_first)
        ids = [*(run.id for run in runs[:2]), gone, done.id, runs[2].id]
        ended = [await end_run(client, str(one), Crashed(message="lost")) for one in ids]
        monkeypatch.undo()
        await client.delete_flow_run(runs[0].id)

    assert ended == [False, True, False, False, True]


async def test_late_runs_that_a_slow_prefect_does_not_take_do_not_keep_lost_ones_open(
    prefect_server, database_url, monkeypatch
):
    async with deployed(prefect_server, database_url) as place:
        await a_user_with_digest(place.store)
        lost = await a_run(place.client, Running())
        place.clock.advance(minutes=6)
        coming = await place.coming(await place.applied())
        place.clock.instant = max(place.clock.instant, coming.expected_start_time + timedelta(minutes=3))
        request = place.client.request

        async def too_slow_for_many(method: Any, path: Any, **more: Any) -> Any:
            if path == "/flow_runs/bulk_set_state":
                raise httpx.ReadTimeout("no answer within 60 s")
            return await request(method, path, **more)

        monkeypatch.setattr(place.client, "request", too_slow_for_many)
        await close_runs(place.store, place.client, grace=GRACE, own=None)
        monkeypatch.undo()
        states = [await place.state_of(run.id) for run in (lost, coming)]

    assert states == ["Crashed", "Scheduled"]


@pytest.mark.parametrize(("refusals", "expected"), [(1, "Superseded"), (99, "Scheduled")])
async def test_late_runs_that_a_busy_prefect_does_not_cancel_are_asked_for_again(
    prefect_server, database_url, monkeypatch, caplog, refusals, expected
):
    async with deployed(prefect_server, database_url) as place:
        await a_user_with_digest(place.store)
        coming = await place.coming(await place.applied())
        place.clock.instant = max(place.clock.instant, coming.expected_start_time + timedelta(minutes=3))
        request, refused = place.client.request, []

        async def busy(method: Any, path: Any, **more: Any) -> Any:
            if path != "/flow_runs/bulk_set_state" or len(refused) >= refusals:
                return await request(method, path, **more)
            refused.append(path)
            return httpx.Response(200, json={"results": [{"status": "ABORT"}]})

        monkeypatch.setattr(place.client, "request", busy)
        await close_runs(place.store, place.client, grace=GRACE, own=None)
        monkeypatch.undo()
        ended = await place.state_of(coming.id)

    assert ended == expected
    warnings = [record.getMessage() for record in caplog.records if record.name == "gda.glue"]
    assert bool(warnings) == (expected == "Scheduled")


async def test_of_a_system_jobs_missed_runs_the_newest_stays_and_none_where_one_has_begun(prefect_server, database_url):
    async with deployed(prefect_server, database_url) as place:
        client, spell = place.client, timedelta(minutes=5)
        await apply_system(client, Settings(database_url=database_url), find_file())
        begun, *others = await missed_runs(client, "reminder/drain", spell, place.clock.instant)
        for state in (Pending(), Running()):
            await client.set_flow_run_state(begun.id, state, force=True)
        waiting = await missed_runs(client, "sweep/sweep", spell, place.clock.instant)
        await close_runs(place.store, client, grace=timedelta(days=1), own=None)
        ended = [[await place.state_of(run.id) for run in runs] for runs in ([begun, *others], waiting)]
        await prefect_server.emptied()

    assert len(others) >= 3
    assert len(waiting) >= 4
    assert ended[0] == ["Running", *["Superseded"] * len(others)]
    assert ended[1] == [*["Superseded"] * (len(waiting) - 1), "Scheduled"]


@flow(name="long-work")
async def long_work(place: Any, alive: bool) -> str:
    """After an hour of work: what the sweep takes this run for."""
    own = UUID(str(flow_run.id))
    async with known_alive(place.store) if alive else nullcontext():
        await close_runs(place.store, place.client, grace=GRACE, own=None)
        return await place.state_of(own)


async def test_a_run_that_shows_it_is_alive_is_not_closed_however_long_it_takes(prefect_server, database_url):
    async with deployed(prefect_server, database_url) as place, prefect_within_this_process():
        place.clock.advance(minutes=60)
        with tags("gda"):
            taken = [await long_work.with_options(validate_parameters=False)(place, alive) for alive in (True, False)]
        left = await place.store.sweeping.active_runs(timedelta(minutes=5))

    assert (taken, left) == (["Running", "Crashed"], set())


async def test_the_flow_sweeps_and_while_it_does_a_second_says_that_it_does_not_lead(
    prefect_server, database_url, monkeypatch
):
    settings = Settings(database_url=database_url)
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    async with a_store(database_url, clock=VirtualClock(MORNING)) as past:
        await a_user_with_digest(past, catch_up_window=timedelta(days=2))
    async with prefect_server.client() as client, a_store(database_url) as store, prefect_within_this_process():
        await apply_system(client, settings, find_file())
        other = await store.leases.acquire("sweep", "other", timedelta(minutes=1))
        refused = await sweep_once(return_state=True)
        assert other
        assert await store.leases.release(other)
        swept = await sweep_once(return_state=True)
        forgot = await prune_old_rows(return_state=True)
        rows = await store.history.list()
        drain = (await client.read_deployment_by_name("digest/drain")).id
        tagged = FlowRunFilter.model_validate({"tags": {"all_": ["drain"]}})
        found = await client.read_flow_runs(flow_run_filter=tagged)
        asked = [run for run in found if run.deployment_id == drain]
        await prefect_server.emptied()

    assert (refused.name, swept.name, forgot.name) == ("NotLeader", "Completed", "Completed")
    assert [row.woken_by for row in rows if row.status is Status.SCHEDULED] == ["sweep"]
    assert "promised 1" in str(swept.message)
    assert len(asked) == 1


async def test_two_system_runs_that_lose_their_worker_at_once_do_not_stop_the_next_sweep(
    prefect_server, tmp_path: Path
):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    settings = Settings(database_url=url, sweep_enabled=False)
    async with prefect_server.client() as client, a_store(url):
        await apply_system(client, settings, find_file())
        deployment = await client.read_deployment_by_name("sweep/sweep")
        for _ in range(2):
            run = await client.create_flow_run_from_deployment(deployment.id)
            for state in (Pending(), Running()):
                answer = await client.set_flow_run_state(run.id, state)
                assert answer.status.value == "ACCEPT"
        third = await client.create_flow_run_from_deployment(deployment.id)

        async def ended() -> FlowRun | None:
            run = await client.read_flow_run(third.id)
            return run if run.state and run.state.is_final() else None

        environment = environment_of(settings)
        async with running_worker(prefect_server, "gda-system", home=tmp_path / "worker", environment=environment):
            run = await eventually(ended, "the third sweep ends")
        await prefect_server.emptied()

    assert run.state.name == "Completed", run.state.message
