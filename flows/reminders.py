"""Reminders: each minute, what is due is taken, and performed in chunks with whatever waits for another try."""

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.services import open_services
from gda.binding import opened
from gda.glue.batch import attempt_in_batch, run_batch
from gda.glue.runs import Request, asks_again, first_name
from gda.glue.scan_news import told
from gda.glue.superseding import supersede_late_runs
from gda.jobs import REMINDER
from gda.jobs.reminders import AT_ONCE, reminder, summary, take_batch
from gda.jobs.scanning import until_empty
from gda.runner import Desk
from gda.store import Taken, Waker


@flow(name=REMINDER, version="1", flow_run_name=first_name, on_running=[supersede_late_runs], persist_result=False)
async def send_reminders() -> State[None]:
    """Send the reminders that are due."""
    taken = await until_empty(take_due)
    if taken:
        get_run_logger().info(summary(taken))
        await told(REMINDER, taken, summary(taken))
    async with open_services() as services:
        settings = services.settings.model_copy(update={"concurrency": max(services.settings.concurrency, AT_ONCE)})
        async with opened(reminder, settings, services.store) as job:
            return await run_batch(Desk(services.store, job, settings), Request(REMINDER), remind)


@task(name="take-due", retries=2, retry_delay_seconds=[2, 10], persist_result=False, cache_policy=NO_CACHE)
async def take_due() -> list[Taken]:
    """One batch, one transaction; where it fails nothing of it was written, and Prefect tries it again."""
    run = str(flow_run.id) if flow_run.id else None
    async with open_services() as services:
        return await take_batch(services.store, services.settings, Waker("schedule", run))


@task(
    name="remind",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_jitter_factor=1,
    retry_condition_fn=asks_again,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def remind(label: str, occurrence_id: str) -> State[None]:
    """One round of attempts at a chunk of reminders; Prefect runs it again while the ledger asks for that."""
    return await attempt_in_batch(occurrence_id)
