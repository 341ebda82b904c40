"""Prefect's side of the sweep: runs whose worker went away are closed, and runs too late to be useful cancelled."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Crashed

from gda.glue.closing import end_run, end_waiting_runs
from gda.glue.shards import SHARD
from gda.store import Store

log = logging.getLogger("gda.glue")

STUCK_AFTER = timedelta(minutes=5)
PAGE = 200
"""The most that Prefect's API gives in one answer."""
PAGES = 5
KEPT = frozenset({"by-hand", SHARD, "drain"})
"""Tags of late runs that stay: what a person asked for, and what performs the work of all others."""
SYSTEM = "system"
SUPERSEDED = "Superseded"
"""Name of the state in which the sweep cancels a run, which tells it from a person's ``Cancelled``."""
WAITING = ("Scheduled", "Late", "AwaitingConcurrencySlot")
"""Names of the states in which a run waits to begin. Prefect marks late runs as such in its own time: where its
database is busy, as after an outage, minutes later or not at all."""
LIVE = ("RUNNING", "PENDING", "CANCELLING")
"""Types of the states in which a run holds a slot of its pool."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A Prefect flow run as the sweep sees it; ``since`` is when it entered its state (aware UTC)."""

    id: str
    state: str
    since: datetime
    tags: frozenset[str]
    auto_scheduled: bool
    deployment: str = ""


def stuck(
    runs: Sequence[SeenRun], *, active: Collection[str], own: str | None, now: datetime, after: timedelta = STUCK_AFTER
) -> list[SeenRun]:
    """Runs in one state for 5 minutes without a lease held or an occurrence finished (DESIGN 6), but for our own."""
    return [run for run in runs if now - run.since >= after and run.id not in active and run.id != own]


def late(runs: Sequence[SeenRun], *, grace: timedelta, now: datetime) -> list[str]:
    """Late runs of schedules older than ``grace``: a drain serves users' slots; of a system job the latest run stays.

    Args:
        runs: those that are late.
        grace: how late a run may be.
        now: aware.
    """
    newest: dict[str, datetime] = {}
    for run in runs:
        newest[run.deployment] = max(run.since, newest.get(run.deployment, run.since))
    return [
        run.id
        for run in runs
        if run.auto_scheduled
        and now - run.since >= grace
        and not run.tags & KEPT
        and (SYSTEM not in run.tags or run.since < newest[run.deployment])
    ]


async def close_runs(store: Store, client: PrefectClient, *, grace: timedelta, own: str | None) -> int:
    """Crash stuck runs and cancel late ones.

    Args:
        store: tells which runs are alive, and the time.
        client: an open Prefect client.
        grace: how late a run may be.
        own: the sweep's own flow run, which is left.

    Returns:
        How many were closed.
    """
    active = await store.sweeping.active_runs(STUCK_AFTER)
    abandoned = await store.ledger.abandoned_runs()
    now = await store.ledger.now()
    live = await _read(client, {"state": {"type": {"any_": list(LIVE)}}})
    gone = stuck(live, active=active, own=own, now=now, after=STUCK_AFTER)
    ends = {run.id: _end_of(run) for run in live if run.id in set(abandoned)} | {run.id: _end_of(run) for run in gone}
    # First the late ones: they would take the slots which the others free, and do what a drain does at once.
    closed = await _cancel_late(client, grace, now)
    return closed + sum([await end_run(client, run_id, state) for run_id, state in ends.items()])


async def _cancel_late(client: PrefectClient, grace: timedelta, now: datetime) -> int:
    waiting = await _read(client, {"state": {"name": {"any_": list(WAITING)}}, "expected_start_time": {"before_": now}})
    message = "too late: its work is done by a drain, or by a later run"
    too_late: State[None] = Cancelled(name=SUPERSEDED, message=message)
    try:
        return await end_waiting_runs(client, late(waiting, grace=grace, now=now), too_late)
    except HTTPError as error:  # Lost runs are closed all the same; what is still late waits for the next sweep.
        log.warning("late runs could not be cancelled (%s)", type(error).__name__)
        return 0


def _end_of(run: SeenRun) -> State[None]:
    message = "its worker went away: no lease was renewed for too long"
    return Cancelled(message=message) if run.state == "Cancelling" else Crashed(message=message)


async def _read(client: PrefectClient, wanted: Mapping[str, Any]) -> list[SeenRun]:
    found: list[FlowRun] = []
    asked = FlowRunFilter.model_validate({"tags": {"all_": ["gda"]}, **wanted})
    for page in range(PAGES):
        part = await client.read_flow_runs(
            flow_run_filter=asked, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=PAGE, offset=page * PAGE
        )
        found += part
        if len(part) < PAGE:
            break
    return [_seen(run) for run in found if run.state]


def _seen(run: FlowRun) -> SeenRun:
    assert run.state is not None
    since = run.state.timestamp
    if run.state.name in WAITING and run.expected_start_time:
        since = run.expected_start_time
    name, auto = run.state.name or "", bool(run.auto_scheduled)
    return SeenRun(str(run.id), name, since, frozenset(run.tags), auto, str(run.deployment_id or ""))
