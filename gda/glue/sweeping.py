"""Prefect's side of the sweep: runs whose worker went away are closed, and runs too late to be useful cancelled."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
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
    """A Prefect flow run as the sweep sees it.

    ``since`` is when it entered its state or, where it waits, when it is due, and ``began`` when it last began to run
    (aware UTC).
    """

    id: str
    state: str
    since: datetime
    tags: frozenset[str]
    auto_scheduled: bool
    deployment: str = ""
    began: datetime | None = None


def stuck(
    runs: Sequence[SeenRun], *, active: Collection[str], own: str | None, now: datetime, after: timedelta = STUCK_AFTER
) -> list[SeenRun]:
    """Runs in one state for 5 minutes without a lease held or an occurrence finished (DESIGN 6), but for our own."""
    return [run for run in runs if now - run.since >= after and run.id not in active and run.id != own]


def late(
    waiting: Sequence[SeenRun], *, begun: Mapping[str, datetime] = MappingProxyType({}), grace: timedelta, now: datetime
) -> list[str]:
    """Runs of schedules that need not begin any more.

    Users' runs may be late by ``grace``; then a drain serves their slots. A run of a system job does whatever is due
    when it begins: of those that wait the newest stays, however late, unless one began after that was due.

    Args:
        waiting: what is due and has not begun.
        begun: by system deployment, when its latest run that was not lost began.
        grace: how late a user's run may be.
        now: aware.
    """
    schedules = [run for run in waiting if run.auto_scheduled]
    newest: dict[str, datetime] = {}
    for run in schedules:
        newest[run.deployment] = max(run.since, newest.get(run.deployment, run.since))

    def unneeded(run: SeenRun) -> bool:
        if SYSTEM not in run.tags:
            return now - run.since >= grace
        began = begun.get(run.deployment)
        return run.since < newest[run.deployment] or (began is not None and run.since <= began)

    return [run.id for run in schedules if not run.tags & KEPT and unneeded(run)]


def last_begun(runs: Sequence[SeenRun], *, lost: Collection[str]) -> dict[str, datetime]:
    """By deployment, when the latest run of its schedule began, but for those whose worker went away."""
    began: dict[str, datetime] = {}
    for run in runs:
        if run.auto_scheduled and run.began is not None and run.id not in lost:
            began[run.deployment] = max(run.began, began.get(run.deployment, run.began))
    return began


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
    live = await read_runs(client, {"state": {"type": {"any_": list(LIVE)}}})
    gone = stuck(live, active=active, own=own, now=now, after=STUCK_AFTER)
    ends = {run.id: _end_of(run) for run in live if run.id in set(abandoned)} | {run.id: _end_of(run) for run in gone}
    # First the late ones: they would take the slots which the others free, and do what a drain does at once.
    closed = await _cancel_late(client, grace, now, lost=ends)
    return closed + sum([await end_run(client, run_id, state) for run_id, state in ends.items()])


async def _cancel_late(client: PrefectClient, grace: timedelta, now: datetime, *, lost: Collection[str]) -> int:
    due = {"state": {"name": {"any_": list(WAITING)}}, "expected_start_time": {"before_": now}}
    message = "too late: its work is done by a drain, or by another run"
    too_late: State[None] = Cancelled(name=SUPERSEDED, message=message)
    try:
        waiting = await read_runs(client, due)
        begun = last_begun(await _system_runs_since(client, waiting), lost=lost)
        return await end_waiting_runs(client, late(waiting, begun=begun, grace=grace, now=now), too_late)
    except HTTPError as error:  # Lost runs are closed all the same; what is still late waits for the next sweep.
        log.warning("late runs could not be cancelled (%s)", type(error).__name__)
        return 0


async def _system_runs_since(client: PrefectClient, waiting: Sequence[SeenRun]) -> list[SeenRun]:
    """Runs of system jobs that have begun since the first of those that wait was due."""
    due = [run.since for run in waiting if SYSTEM in run.tags]
    if not due:
        return []
    begun = {"state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}, "start_time": {"after_": min(due)}}
    return await read_runs(client, {"tags": {"all_": ["gda", SYSTEM]}, **begun})


def _end_of(run: SeenRun) -> State[None]:
    message = "its worker went away: no lease was renewed for too long"
    return Cancelled(message=message) if run.state == "Cancelling" else Crashed(message=message)


async def read_runs(client: PrefectClient, wanted: Mapping[str, Any]) -> list[SeenRun]:
    """GDA's flow runs that Prefect's filter ``wanted`` finds, the first due first, at most a thousand."""
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
    name, auto, deployment = run.state.name or "", bool(run.auto_scheduled), str(run.deployment_id or "")
    return SeenRun(str(run.id), name, since, frozenset(run.tags), auto, deployment, run.start_time)
