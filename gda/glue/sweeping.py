"""Prefect's side of the sweep: runs whose worker went away are closed, and runs too late to be useful cancelled."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from gda.glue.shards import SHARD
from gda.store import Store

STUCK_AFTER = timedelta(minutes=5)
MOST = 200
KEPT = frozenset({"by-hand", SHARD, "system", "drain"})
"""Tags of late runs that stay: what a person asked for, and what performs the work of all others."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A Prefect flow run as the sweep sees it; ``since`` is when it entered its state (aware UTC)."""

    id: str
    state: str
    since: datetime
    tags: frozenset[str]
    auto_scheduled: bool


def stuck(runs: Sequence[SeenRun], *, active: Collection[str], own: str | None, now: datetime) -> list[str]:
    """Runs RUNNING for 5 minutes that hold no lease and finished nothing in that time (DESIGN 6), but for our own."""
    return [
        run.id
        for run in runs
        if run.state == "Running" and now - run.since >= STUCK_AFTER and run.id not in active and run.id != own
    ]


def late(runs: Sequence[SeenRun], *, grace: timedelta, now: datetime) -> list[str]:
    """Late runs of users' schedules older than ``grace``: the sweep has promised their slots, a drain serves them."""
    return [
        run.id
        for run in runs
        if run.state == "Late" and run.auto_scheduled and now - run.since >= grace and not run.tags & KEPT
    ]


async def close_runs(store: Store, *, grace: timedelta, own: str | None) -> int:
    """Crash stuck runs and cancel late ones.

    Args:
        store: tells which runs are alive, and the time.
        grace: how late a run may be.
        own: the sweep's own flow run, which is left.

    Returns:
        How many were closed.
    """
    active = await store.sweeping.active_runs(STUCK_AFTER)
    now = await store.ledger.now()
    async with get_client() as client:
        runs = [*await _read(client, "Running"), *await _read(client, "Late")]
        dead = dict.fromkeys([*await store.ledger.abandoned_runs(), *stuck(runs, active=active, own=own, now=now)])
        overdue = late(runs, grace=grace, now=now)
        for run_id in dead:
            await _end(client, run_id, Crashed(message="its worker went away: no lease was renewed for too long"))
        for run_id in overdue:
            await _end(client, run_id, Cancelled(message="too late: its slot is served by a drain"))
    return len(dead) + len(overdue)


async def _read(client: PrefectClient, state: str) -> list[SeenRun]:
    wanted = {"tags": {"all_": ["gda"]}, "state": {"name": {"any_": [state]}}}
    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(wanted), sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=MOST
    )
    return [_seen(run) for run in found if run.state]


def _seen(run: FlowRun) -> SeenRun:
    assert run.state is not None
    since = run.state.timestamp
    if run.state.name == "Late" and run.expected_start_time:
        since = run.expected_start_time
    return SeenRun(str(run.id), run.state.name or "", since, frozenset(run.tags), bool(run.auto_scheduled))


async def _end(client: PrefectClient, run_id: str, state: State[None]) -> None:
    with suppress(ObjectNotFound):
        await client.set_flow_run_state(UUID(run_id), state)
