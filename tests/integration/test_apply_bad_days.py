"""``gda apply`` on bad days: killed half-way, twice at once, a server that refuses or loses answers; orphaned runs."""

import asyncio
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Scheduled

from deployments.apply import Applied, apply, read_existing
from deployments.orphans import remove_runs_of_replaced_schedules
from deployments.planning import applying, make_plan
from deployments.pools import ensure_pool, pool_specs
from deployments.wire import create_payload
from gda.errors import NotLeader, Unavailable
from gda.glue.sweeping import close_runs
from gda.settings import Settings
from gda.store import Store
from tests.builders import a_store, a_user_with_digest
from tests.support.bad_line import a_bad_line
from tests.support.deployed import GRACE, deployed
from tests.support.prefect_server import PrefectServer

pytestmark = pytest.mark.slow

USERS = tuple(f"user{number:02}" for number in range(8))
TITLES = {f"digest/{user}" for user in USERS}
ALONE = Settings(single_instance=True)
APPLY = "import sys; from gda.cli import main; sys.exit(main(['apply']))"


async def settled_in(store: Store, client: PrefectClient) -> None:
    for user in USERS:
        await a_user_with_digest(store, user)
    for pool in pool_specs(Settings()):
        await ensure_pool(client, pool)


async def applied(store: Store, client: PrefectClient, settings: Settings = ALONE) -> Applied:
    """What `gda apply` does."""
    async with applying(store, settings) as leader:
        found = await make_plan(store, client, settings)
        leader.require()
        return await apply(found, client)


async def titles(client: PrefectClient) -> list[str]:
    return sorted(one.spec.title for one in await read_existing(client) if "system" not in one.spec.tags)


async def doubled_runs(client: PrefectClient) -> dict[Any, int]:
    """Coming runs of one deployment at one instant, where there is more than one."""
    runs = await client.read_flow_runs(limit=200)
    seen = Counter((run.deployment_id, run.expected_start_time) for run in runs if run.auto_scheduled)
    return {which: count for which, count in seen.items() if count > 1}


async def killed_while_it_applies(server: PrefectServer, database_url: str, folder: Path) -> None:
    """Start `gda apply` as a process of its own and kill it when it has written three deployments."""
    environment = server.environment(GDA_DATABASE_URL=database_url, GDA_HOME=str(folder / "home"), HOME=str(folder))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", APPLY), env=environment, cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    assert child.stderr is not None
    said = []
    while sum(line.startswith(b"created") for line in said) < 3:
        line = await child.stderr.readline()
        assert line, b"".join(said).decode()
        said.append(line)
    child.send_signal(signal.SIGKILL)
    await child.wait()


async def test_an_apply_that_was_killed_is_completed_by_the_next_with_nothing_doubled(prefect_server, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    async with a_store(url) as store, prefect_server.client() as client:
        await settled_in(store, client)
        await killed_while_it_applies(prefect_server, url, tmp_path)
        half = await titles(client)
        with pytest.raises(NotLeader, match="lease 'apply'"):
            await applied(store, client, Settings())
        rest = await applied(store, client)
        again = await applied(store, client)
        whole, doubled = await titles(client), await doubled_runs(client)

    assert 0 < len(half) < len(USERS), "it was killed too late to show anything"
    assert set(whole) == TITLES
    assert len(whole) == len(TITLES)
    # The server may still have carried out what was under way when the client was killed.
    assert 0 < rest.created <= len(TITLES) - len(half)
    assert rest.unchanged >= 1
    assert (again.created, again.updated, again.deleted) == (0, 0, 0)
    assert doubled == {}


async def test_of_two_applies_at_once_one_says_that_another_is_at_it(prefect_server, database_url):
    async with a_store(database_url) as store, prefect_server.client() as client:
        await settled_in(store, client)
        both = await asyncio.gather(*(applied(store, client, Settings()) for _ in range(2)), return_exceptions=True)
        made = await titles(client)

    refused = [one for one in both if isinstance(one, NotLeader)]
    assert len(refused) == 1
    assert "another instance holds the lease 'apply'" in str(refused[0])
    assert [one.created for one in both if isinstance(one, Applied)] == [len(TITLES)]
    assert set(made) == TITLES


@pytest.mark.parametrize("fault", ["refuse", "lose"])
async def test_a_server_that_refuses_calls_or_loses_answers_ends_up_the_same(prefect_server, tmp_path, fault):
    async with (
        a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store,
        prefect_server.client() as client,
        a_bad_line(prefect_server.api_url, every=4, fault=fault, delay=0.02) as line,
    ):
        await settled_in(store, client)
        with temporary_settings({PREFECT_API_URL: line.url}):
            async with get_client() as hindered:
                done = await applied(store, hindered)
        made, doubled, again = await titles(client), await doubled_runs(client), await applied(store, client)

    assert done.created == len(TITLES)
    assert any("/deployments/" in request for request in line.suffered), line.suffered
    assert sorted(TITLES) == made
    assert doubled == {}
    assert (again.created, again.updated, again.deleted) == (0, 0, 0)


@contextmanager
def as_the_scheduler_does(server: PrefectServer, deployment: str) -> Iterator[Callable[[], int]]:
    """Remember the deployment's runs, and yield what inserts them again: its transactions read and write apart."""
    with closing(sqlite3.connect(server.home / "prefect.db", timeout=60, isolation_level=None)) as database:
        database.execute("CREATE TEMP TABLE made AS SELECT * FROM flow_run WHERE 0")
        database.execute("INSERT INTO temp.made SELECT * FROM flow_run WHERE deployment_id = ?", [deployment])
        yield lambda: database.execute("INSERT OR IGNORE INTO flow_run SELECT * FROM temp.made").rowcount


async def test_what_the_scheduler_adds_late_for_a_creation_that_was_repeated_is_removed(prefect_server, tmp_path):
    async with deployed(prefect_server, f"sqlite+aiosqlite:///{tmp_path}/gda.db") as place:
        await a_user_with_digest(place.store)
        planned = await place.planned()
        first = await place.applied()
        await place.coming(first)
        [spec] = planned.create
        again = create_payload(spec, str(await place.client.create_flow_from_name(spec.flow_name)))
        with as_the_scheduler_does(prefect_server, first.id) as insert_late:
            answer = (await place.client.request("POST", "/deployments/", json=again)).json()
            late = insert_late()
        await place.coming(first)
        before = await doubled_runs(place.client)
        removed = await remove_runs_of_replaced_schedules(place.client, [answer])
        mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[UUID(first.id)]))
        left = await place.client.read_flow_runs(flow_run_filter=mine)
        after = await doubled_runs(place.client)

    assert before
    assert removed >= late > 0, "Prefect's scheduler may have added some of its own"
    assert after == {}
    assert {str(run.created_by.id) for run in left if run.created_by} == {answer["schedules"][0]["id"]}


async def test_a_server_that_refuses_everything_is_given_up_with_a_sentence(prefect_server, tmp_path):
    async with (
        a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store,
        a_bad_line(prefect_server.api_url, every=1) as line,
    ):
        with temporary_settings({PREFECT_API_URL: line.url, PREFECT_CLIENT_MAX_RETRIES: 2}):
            async with get_client() as client:
                with pytest.raises(Unavailable, match=r"reading deployments failed: .* answered 503: busy"):
                    await applied(store, client)

    assert line.requests == 3


async def test_runs_of_a_deployment_that_somebody_deleted_in_prefect_are_cancelled_by_the_sweep(
    prefect_server, tmp_path
):
    async with deployed(prefect_server, f"sqlite+aiosqlite:///{tmp_path}/gda.db") as place:
        await a_user_with_digest(place.store)
        orphan = await place.coming(mine := await place.applied())
        waits: Any = Scheduled(name="AwaitingConcurrencySlot", scheduled_time=orphan.expected_start_time)
        await place.client.set_flow_run_state(orphan.id, waits, force=True)
        await place.client.request("DELETE", cast(Any, f"/deployments/{mine.id}"))
        left = await place.state_of(orphan.id)
        renewed = await place.applied()
        place.clock.instant = orphan.expected_start_time + timedelta(minutes=3)
        await close_runs(place.store, place.client, grace=GRACE, own=None)
        ended = await place.state_of(orphan.id)

    assert left == "AwaitingConcurrencySlot", "Prefect removes such runs by itself now"
    assert renewed.id != mine.id
    assert ended == "Superseded"
