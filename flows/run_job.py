"""Any kind's work without a flow of its own: what waits in its queue, or one job that a person asks for in a form."""

from collections.abc import Mapping
from typing import Any, Literal

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed
from pydantic import BaseModel

from flows.services import open_services
from gda.binding import opened
from gda.enqueue import NewJob, OnConflict, Unique, enqueue
from gda.errors import UsageError
from gda.glue.batch import attempt_in_batch, run_batch
from gda.glue.runs import Request, asks_again, first_name
from gda.glue.superseding import supersede_late_runs
from gda.lifecycle import Status
from gda.registry import load_registry
from gda.runner import Desk
from gda.store import Waker

QueueName = Literal["critical", "default", "bulk"]


@flow(name="run-job", version="1", flow_run_name=first_name, on_running=[supersede_late_runs], persist_result=False)
async def run_job(
    kind: str,
    queue: QueueName | None = None,
    payload: dict[str, Any] | None = None,
    user: str | None = None,
    expression: str | None = None,
    timezone: str | None = None,
    at: str | None = None,
    extra: bool = False,
    operator: bool = False,
) -> State[None]:
    """Perform what waits; or, given a payload, enqueue one job with it and perform that one alone.

    Args:
        kind: of which job type.
        queue: only what lies in this queue; every queue's when not given. With a payload: where the job is put.
        payload: what the one job carries, as the kind's model says; {} where it takes none. Leave empty for what waits.
        user: whose, by id: the user's schedules, or the one job; everybody's when not given.
        expression: with `timezone`: only schedules with this expression.
        timezone: IANA name.
        at: perform this slot, a local time such as 2026-03-08T07:30 (needs `user` or `operator`).
        extra: perform one now, beside the schedule (needs `user` or `operator`).
        operator: only the schedules that belong to no user.
    """
    if payload is not None:
        return await perform_now(kind, payload, queue=queue, user=user)
    try:
        known = load_registry().get(kind).kind
        return await _perform(Request(known, user, expression, timezone, at, extra, queue, operator=operator))
    except UsageError as error:
        return refused(error)


async def perform_now(
    kind: str, payload: BaseModel | Mapping[str, Any], *, queue: QueueName | None = None, user: str | None = None
) -> State[None]:
    """Enqueue one job for the running flow run and perform it; the body of a flow whose form is a payload's model.

    However often Prefect starts one flow run, it has one job.

    Args:
        kind: of which job type.
        payload: what the job carries; Prefect shows it to whoever may see the flow run.
        queue: the kind's own when not given.
        user: whose it is, by id.

    Returns:
        The flow run's final state; ``Refused`` with the reason where a value breaks a rule.
    """
    values = payload.model_dump(mode="json") if isinstance(payload, BaseModel) else dict(payload)
    unique = Unique(f"run/{flow_run.id}", OnConflict.KEEP, statuses=tuple(Status))
    try:
        async with open_services() as services:
            job = NewJob(kind, values, user_id=user, queue=queue, unique=unique)
            waker = Waker("hand", str(flow_run.id))
            made = await enqueue(services.store.queue, load_registry(), services.settings, job, waker=waker)
        return await _perform(Request(load_registry().get(kind).kind, occurrences=(made.occurrence_id,)))
    except UsageError as error:
        return refused(error)


def refused(error: UsageError) -> State[None]:
    """The end of a flow run that was asked for what cannot be: its sentence, without a traceback."""
    return Failed(name="Refused", message=str(error))


async def _perform(request: Request) -> State[None]:
    job_type = load_registry().get(request.kind)
    async with open_services() as services, opened(job_type, services.settings, services.store) as job:
        return await run_batch(Desk(services.store, job, services.settings), request, perform)


@task(
    name="perform",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_jitter_factor=1,
    retry_condition_fn=asks_again,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def perform(label: str, occurrence_id: str) -> State[None]:
    """One attempt at one occurrence; Prefect runs it again while the ledger asks for that."""
    return await attempt_in_batch(occurrence_id)
