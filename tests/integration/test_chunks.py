"""Kinds whose occurrences share a Prefect task run: the ledger knows each one all the same."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from gda.glue.batch import attempt_in_batch, run_batch
from gda.glue.runs import Request, asks_again
from gda.job import Job, JobType
from gda.lifecycle import Claim, Status
from gda.outcome import Done, Fail, Outcome, Retry
from gda.retry import RetryPolicy
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Worker
from gda.store.queue import Item
from tests.builders import MORNING, VirtualClock, a_store
from tests.support.flow_runs import prefect_within_this_process
from tests.support.town import eventually

SETTINGS = Settings(early_seconds=0)
CALL = WakeUp(Scope("note"), Worker("me"), Waker("drain"))


def a_kind(perform, chunk: int, **policy) -> JobType:
    return JobType("note", perform, RetryPolicy(**policy), chunk=chunk)


async def notes(store: Store, count: int) -> None:
    items = [Item("note", {"n": number}, None, "default", count - number, 300, 10) for number in range(count)]
    await store.queue.add(items, Waker("test"))


async def performed(store: Store, kind: JobType, settings: Settings = SETTINGS) -> tuple[str, list[int]]:
    """Serve one wake-up; its report, and the sizes of the chunks."""
    desk, sizes = Desk(store, kind, settings), list[int]()

    async def each(claims: Sequence[Claim]) -> list[Status | None]:
        sizes.append(len(claims))
        return await settle_alone(desk, claims)

    return str(await wake(desk, CALL, each)), sizes


def number_of(job: Job) -> int:
    assert job.occurrence.payload is not None
    return int(job.occurrence.payload["n"])


async def test_so_many_share_a_chunk_and_each_has_its_own_attempt_and_ending(database_url):
    async def perform(job: Job) -> Outcome:
        return Fail("odd") if number_of(job) % 2 else Done("even")

    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await notes(store, 7)
        report, sizes = await performed(store, a_kind(perform, 3))
        rows = await store.history.list()
        attempts = [len((await store.history.story(row.id)).attempts) for row in rows]

    assert (report, sorted(sizes)) == ("3 dead; 4 done", [1, 3, 3])
    assert {row.payload["n"]: row.reason for row in rows if row.payload} == {
        number: "odd" if number % 2 else "even" for number in range(7)
    }
    assert attempts == [1] * 7


async def test_only_what_failed_is_tried_again_inside_the_chunk(database_url):
    tries = Counter[int]()

    async def perform(job: Job) -> Outcome:
        tries[number_of(job)] += 1
        return Retry("busy") if number_of(job) == 1 and tries[1] < 3 else Done()

    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await notes(store, 3)
        report, sizes = await performed(store, a_kind(perform, 200, in_run_retries=2))

    assert (report, sizes, tries) == ("3 done", [3], {0: 1, 1: 3, 2: 1})


async def test_what_a_worker_died_under_is_performed_in_a_chunk_of_its_own(database_url):
    clock = VirtualClock(MORNING)
    together: list[set[int]] = []
    running: set[int] = set()

    async def perform(job: Job) -> Outcome:
        running.add(number_of(job))
        together.append(set(running))
        await asyncio.sleep(0.01)
        running.discard(number_of(job))
        return Done()

    async with a_store(database_url, clock=clock) as store:
        await notes(store, 2)
        for claim in await store.ledger.claim(CALL.scope, Worker("dead"), limit=2):
            await store.ledger.start(claim)
        clock.advance(minutes=5)
        report, sizes = await performed(store, a_kind(perform, 200))

    assert (report, sizes) == ("2 done", [1, 1])
    assert max(map(len, together)) == 1


async def test_all_chunks_together_keep_to_the_concurrency(database_url):
    running = most = 0

    async def perform(job: Job) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return Done()

    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await notes(store, 60)
        report, sizes = await performed(store, a_kind(perform, 15), Settings(early_seconds=0, concurrency=8))

    assert (report, sizes) == ("60 done", [15] * 4)
    assert 4 <= most <= 8


@pytest.mark.parametrize(
    ("concurrency", "chunk", "lanes", "at_once"),
    [(64, 1, 64, 1), (64, 10, 6, 10), (64, 200, 4, 16), (2, 200, 2, 1), (1, 1, 1, 1)],
)
def test_lanes_times_places_is_never_more_than_the_concurrency(concurrency, chunk, lanes, at_once):
    store: Store = None  # type: ignore[assignment]
    desk = Desk(store, a_kind(None, chunk), Settings(concurrency=concurrency))
    assert (desk.lanes, desk.at_once) == (lanes, at_once)


@task(
    name="note-down",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=0,
    retry_condition_fn=asks_again,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def note_down(label: str, occurrence_id: str):
    return await attempt_in_batch(occurrence_id)


async def test_prefect_shows_one_task_run_for_a_chunk_named_after_kind_and_size(prefect_server, tmp_path):
    tries = Counter[int]()

    async def perform(job: Job) -> Outcome:
        tries[number_of(job)] += 1
        return [Done(), Retry("busy") if tries[1] < 2 else Done(), Fail("no"), Done()][number_of(job)]

    @flow(name="notes", persist_result=False)
    async def write_notes():
        async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
            await notes(store, 4)
            desk = Desk(store, a_kind(perform, 3, in_run_retries=2), SETTINGS)
            return await run_batch(desk, Request("note"), note_down)

    async with prefect_server.client() as client, prefect_within_this_process():
        state = await write_notes(return_state=True)
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))

        async def recorded():
            found = await client.read_task_runs(flow_run_filter=wanted)
            return found if len(found) == 2 and all(run.state and run.state.is_final() for run in found) else None

        runs = {run.name: run for run in await eventually(recorded, "two task runs are recorded")}

    assert state.message == "1 dead; 3 done"
    assert {name: (run.run_count, run.state.message) for name, run in runs.items()} == {
        "note x 3": (2, "2 completed, 1 dead"),
        "system extra": (1, ""),
    }
