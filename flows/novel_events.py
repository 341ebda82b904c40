"""Calendar reports: one flow run wakes for a scope and sends what is due in it, each occurrence a Prefect task run."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.services import open_services
from gda.binding import opened
from gda.glue.batch import attempt_in_batch, run_batch
from gda.glue.runs import Request, asks_again, first_name
from gda.glue.superseding import supersede_late_runs
from gda.jobs import NOVEL_EVENTS
from gda.jobs.novel_events import novel_events
from gda.runner import Desk


@flow(name=NOVEL_EVENTS, version="1", flow_run_name=first_name, on_running=[supersede_late_runs], persist_result=False)
async def report_novel_events(
    user: str | None = None,
    expression: str | None = None,
    timezone: str | None = None,
    at: str | None = None,
    extra: bool = False,
) -> State[None]:
    """Report what changed in the calendars of those whose report is due.

    Args:
        user: whose, by id; everybody's when not given.
        expression: with `timezone`: only schedules with this expression.
        timezone: IANA name.
        at: report for this slot, a local time such as 2026-03-08T07:30 (needs `user`).
        extra: send one report now, beside the schedule (needs `user`).
    """
    request = Request(NOVEL_EVENTS, user=user, expression=expression, timezone=timezone, at=at, extra=extra)
    async with open_services() as services, opened(novel_events, services.settings, services.store) as job:
        return await run_batch(Desk(services.store, job, services.settings), request, report_one)


@task(
    name="report-novel-events",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_jitter_factor=1,
    retry_condition_fn=asks_again,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def report_one(label: str, occurrence_id: str) -> State[None]:
    """One attempt at one report; Prefect runs it again while the ledger asks for that."""
    return await attempt_in_batch(occurrence_id)
