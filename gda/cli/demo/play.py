"""The demo's acts: servers up, people enrolled, deployments applied, a digest asked for and delivered to each."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from gda.cli.demo.people import Person, enrol, open_mailboxes
from gda.cli.demo.progress import Progress
from gda.cli.demo.results import Addresses, Results, count, extras
from gda.cli.demo.stage import RUNS_AT_ONCE, Stage
from gda.cli.deploy import apply_plan, make_plan
from gda.cli.processes import Children
from gda.cli.run import say
from gda.cli.runs import POLL_SECONDS, create_run, prefect_client
from gda.cli.servers import answers, server_answers, start_server, start_worker
from gda.errors import Unavailable
from gda.jobs import DIGEST
from gda.lifecycle import SETTLED

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from gda.store import Store, Story

SANDBOX_SECONDS = 60
START_SECONDS, SECONDS_PER_USER = 120, 30
"""How long the digests may take in all; measured on 2 busy cores: about 5 s each."""
RUNS_READ = 200


async def play(stage: Stage, children: Children, crowd: Sequence[Person], mail: Path | None) -> Results:
    """Bring everything up and deliver a digest to everybody.

    Args:
        stage: folder, ports and environment; entered already.
        children: supervises what is started.
        crowd: the users.
        mail: everybody's mailbox; None for the samples.

    Raises:
        Unavailable: something did not come up, or the digests did not come.
    """
    from gda.store import open_database, open_store, upgrade

    started = time.monotonic()
    given, env = stage.settings(), stage.environment()
    await start_server(children, env, stage.prefect_port, stage.folder)
    await _start_sandbox(stage, children, env)
    database = open_database(given.database)
    await upgrade(database)
    await database.close()
    async with open_store(given) as store:
        await answers(children, f"{stage.sandbox}/_sandbox/health", "the sandbox", SANDBOX_SECONDS)
        await enrol(store, given, crowd, await open_mailboxes(stage.sandbox, crowd, mail))
        say(f"{len(crowd)} people in {len({person.timezone for person in crowd})} timezones have mail and a schedule")
        deployments = await _deploy(stage, children, store)
        await children.alongside(_deliver(stage, store, crowd))
        return await count(
            await extras(store, [person.id for person in crowd]),
            Addresses(stage.ui, stage.sandbox),
            users=len(crowd),
            deployments=deployments,
            seconds=time.monotonic() - started,
        )


async def _start_sandbox(stage: Stage, children: Children, env: Mapping[str, str]) -> None:
    ports = ("--http-port", str(stage.http_port), "--smtp-port", str(stage.smtp_port))
    await children.start("sandbox", [sys.executable, "-m", "gda.sandbox", *ports], env, stage.folder)


async def _deploy(stage: Stage, children: Children, store: "Store") -> int:
    """Bring up pools, worker, blocks, system jobs and everybody's deployment; returns how many those are."""
    from deployments.kinds import load_kinds
    from deployments.pools import ensure_pool, pool_specs
    from deployments.system import apply_system, find_file

    given = stage.settings()
    # Importing Prefect takes seconds, which the server needs for its own start anyway.
    await asyncio.to_thread(load_kinds)
    await server_answers(children, stage.api_url)
    say(f"Prefect's server answers at {stage.ui}")
    async with prefect_client() as client:
        for pool in pool_specs(given):
            await ensure_pool(client, pool)
        await start_worker(children, stage.environment(), given.prefect_pool, RUNS_AT_ONCE, stage.folder)
        await apply_system(client, given, find_file())
        found = await make_plan(store, client, given)
        await apply_plan(found, client)
    return len(found.create)


async def _deliver(stage: Stage, store: "Store", crowd: Sequence[Person]) -> None:
    """Ask for a digest for each, beside the schedule so that the scheduled one still comes, and wait for them."""
    limit = START_SECONDS + SECONDS_PER_USER * len(crowd)
    try:
        async with asyncio.timeout(limit), prefect_client() as client:
            runs = {person.id: (await create_run(client, DIGEST, person.id, extra=True)).id for person in crowd}
            with Progress(crowd) as progress:
                while not await _over(store, client, runs, progress):  # noqa: ASYNC110 (other processes write the rows)
                    await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"not all digests were delivered within {limit} s; the logs in {stage.folder / 'logs'} say why"
        ) from None


async def _over(store: "Store", client: "PrefectClient", runs: Mapping[str, UUID], progress: Progress) -> bool:
    """Show where everybody's digest stands; True when nothing more will happen."""
    stories = await extras(store, list(runs))
    waiting = {runs[user]: user for user in runs if user not in stories or not _is_settled(stories[user])}
    states = {user: _of_story(story) for user, story in stories.items()}
    hopeless = set()
    for run in await _read_runs(client, list(waiting)):
        user = waiting[run.id]
        states.setdefault(user, _of_run(run))
        if user not in stories and run.state is not None and run.state.is_final():
            hopeless.add(user)
    progress.show(states)
    return len(hopeless) == len(waiting)


async def _read_runs(client: "PrefectClient", ids: Sequence[UUID]) -> "list[FlowRun]":
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    runs: list[FlowRun] = []
    for start in range(0, len(ids), RUNS_READ):
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(ids[start : start + RUNS_READ])))
        runs += await client.read_flow_runs(flow_run_filter=wanted, limit=RUNS_READ)
    return runs


def _is_settled(story: "Story") -> bool:
    return story.occurrence.status in SETTLED


def _of_story(story: "Story") -> str:
    occurrence = story.occurrence
    return f"{occurrence.status} ({occurrence.reason})" if occurrence.reason else str(occurrence.status)


def _of_run(run: "FlowRun") -> str:
    if run.state is None or run.state.name is None:
        return "waiting"
    if run.state.is_final():
        return f"failed ({run.state.message or run.state.name})"
    return run.state.name.lower()
