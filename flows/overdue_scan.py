"""Overdue to-dos: every few minutes, what is open and past due is marked, and its user may hear of it."""

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.services import open_services
from gda.glue.scan_news import told
from gda.glue.superseding import supersede_late_runs
from gda.jobs import OVERDUE_SCAN
from gda.jobs.overdue import NOTHING, mark_batch, summary
from gda.jobs.scanning import until_empty
from gda.store import Marked


@flow(name=OVERDUE_SCAN, version="1", on_running=[supersede_late_runs], persist_result=False)
async def scan_overdue() -> State[None]:
    """Mark what is open and past due."""
    log = get_run_logger()
    log.info("looking for to-dos that are past due")
    found = await until_empty(mark_overdue)
    log.info(done := summary(found) if found else NOTHING)
    return await told(OVERDUE_SCAN, found, done)


@task(name="mark-overdue", retries=2, retry_delay_seconds=[2, 10], persist_result=False, cache_policy=NO_CACHE)
async def mark_overdue() -> list[Marked]:
    """One batch, one transaction; where it fails nothing of it was written, and Prefect tries it again."""
    async with open_services() as services:
        return await mark_batch(services.store, notify=services.settings.overdue_notify)
