"""Recurring to-dos: every few minutes, what was completed and repeats gets its next one."""

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.services import open_services
from gda.glue.scan_news import told
from gda.glue.superseding import supersede_late_runs
from gda.jobs import RECURRING_TASK
from gda.jobs.recurring import NOTHING, follow_batch, summary
from gda.jobs.scanning import until_empty
from gda.store import Followed


@flow(name=RECURRING_TASK, version="1", on_running=[supersede_late_runs], persist_result=False)
async def process_recurring_tasks() -> State[None]:
    """Make the next to-do of each completed one that repeats."""
    log = get_run_logger()
    log.info("looking for completed to-dos that repeat")
    found = await until_empty(follow_completed)
    log.info(done := summary(found) if found else NOTHING)
    return await told(RECURRING_TASK, found, done)


@task(name="follow-completed", retries=2, retry_delay_seconds=[2, 10], persist_result=False, cache_policy=NO_CACHE)
async def follow_completed() -> list[Followed]:
    """One batch, one transaction; where it fails nothing of it was written, and Prefect tries it again."""
    async with open_services() as services:
        return await follow_batch(services.store)
