"""Between a Prefect flow run and a wake-up: who woke whom, how runs are named, and which state a report becomes."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Completed, Crashed, Failed

from gda.glue.closing import end_run
from gda.glue.shards import SHARD
from gda.lifecycle import Settlement, Status
from gda.report import Report
from gda.runner import WakeUp
from gda.store import ByHand, Scope, Store, Waker, Worker

AGAIN = "Again"
"""Name of the state that asks Prefect to run the task once more inside this flow run."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a flow run was asked for, as its parameters say."""

    kind: str
    user: str | None = None
    expression: str | None = None
    timezone: str | None = None
    at: str | None = None
    extra: bool = False
    queue: str | None = None
    occurrences: tuple[str, ...] = ()
    operator: bool = False


def wake_up(request: Request) -> WakeUp:
    """Read the running flow's context: a deployment's own schedule wakes for what is due, a person for a certain slot.

    A run that no schedule made counts as made by hand; one that is neither a user's nor the operator's (a drain) asks
    for nothing in particular.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    run_id = str(run.id) if run else None
    scheduled = bool(run and run.auto_scheduled)
    owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{run_id or uuid4()}"
    by_hand = None
    if (request.user is not None or request.operator) and (not scheduled or request.at or request.extra):
        by_hand = ByHand(at=request.at, extra=(run_id or str(uuid4())) if request.extra else None)
    return WakeUp(
        scope=Scope(
            request.kind,
            user_id=request.user,
            expression=request.expression,
            timezone=request.timezone,
            queue=request.queue,
            occurrence_ids=request.occurrences,
            operator=request.operator,
        ),
        worker=Worker(owner, run_id),
        waker=Waker("hand" if by_hand else "schedule" if scheduled else "drain", run_id),
        by_hand=by_hand,
    )


async def run_by_hand(
    client: PrefectClient,
    deployment_id: UUID,
    who: Mapping[str, Any],
    *,
    at: str | None = None,
    extra: bool = False,
) -> FlowRun:
    """Ask for a run for one user, as Prefect's quick-run does; ``who`` are the parameters that name the user."""
    parameters = {**who, "extra": extra} | ({"at": at} if at else {})
    return await client.create_flow_run_from_deployment(
        deployment_id, parameters=parameters, name=f"{who['user']} by hand", tags=["gda", "by-hand"]
    )


def first_name() -> str:
    """A flow run's name until it is known which slot it serves: its scope, as its parameters say, or its share."""
    if SHARD in flow_run.tags:
        return str(flow_run.name)
    given = flow_run.parameters
    single = given.get("kind") if given.get("payload") is not None else None
    owner = given.get("user") or ("operator" if given.get("operator") else None)
    return str(owner or given.get("expression") or single or "drain")


async def name_run(name: str) -> None:
    """Name the running flow run after what it serves, once that is known; nothing outside a flow run."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        async with get_client() as client:
            await client.update_flow_run(context.flow_run.id, name=name)


async def close_abandoned_runs(store: Store) -> list[str]:
    """Close Prefect's side of flow runs whose worker went away, and return their ids.

    Prefect leaves such a run RUNNING for good, where it keeps a slot of its pool and of its deployment, so that the run
    that would take over never starts. The ledger knows better: the run's leases have expired.
    """
    abandoned = await store.ledger.abandoned_runs()
    if abandoned:
        async with get_client() as client:
            for run_id in abandoned:
                state: State[None] = Crashed(message="its worker went away: the leases it held have expired")
                await end_run(client, run_id, state)
    return abandoned


def asks_again(_task: object, _run: object, state: State[object]) -> bool:
    """Prefect's ``retry_condition_fn``: only what the ledger wants tried again here, never a permanent error."""
    return state.name == AGAIN


def task_state(settlement: Settlement | None) -> State[None]:
    """The Prefect state that tells a task run's reader what the ledger wrote."""
    if settlement is None:
        return Completed(name="Lost", message="another worker took this occurrence over; nothing was written here")
    match settlement.status:
        case Status.RUNNING:
            return Failed(name=AGAIN, message=settlement.reason)
        case Status.DONE:
            return Completed(message=settlement.reason)
        case Status.SKIPPED:
            return Completed(name="Skipped", message=settlement.reason)
        case Status.HELD:
            return Completed(name="Held", message=f"held until its cause clears: {settlement.reason}")
        case Status.RETRYING if not settlement.burns:
            return Completed(name="Snoozed", message=f"{settlement.reason}; looked at again from {settlement.ready_at}")
        case Status.RETRYING:
            return Failed(name="Retrying", message=f"{settlement.reason}; tried again from {settlement.ready_at}")
        case _:
            return Failed(name="Dead", message=settlement.reason)


def flow_state(report: Report) -> State[None]:
    """The flow run's final state: failed when something died, else completed with what happened."""
    if report.dead:
        return Failed(message=str(report))
    return Completed(message=str(report))
