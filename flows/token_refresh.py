"""Token refresh: every ten minutes, what expires soon is promised, and refreshed in chunks."""

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
from gda.jobs import TOKEN_REFRESH
from gda.jobs.scanning import until_empty
from gda.jobs.token_refresh import promise_batch, reconsider, summary, token_refresh
from gda.runner import Desk
from gda.store import Expiring, Waker


@flow(name=TOKEN_REFRESH, version="1", flow_run_name=first_name, on_running=[supersede_late_runs], persist_result=False)
async def refresh_tokens() -> State[None]:
    """Refresh the tokens that expire within twenty minutes."""
    found = await until_empty(promise_refreshes)
    if found:
        get_run_logger().info(summary(found))
        await told(TOKEN_REFRESH, found, summary(found))
    async with open_services() as services:
        await reconsider(services.store)
        async with opened(token_refresh, services.settings, services.store) as job:
            return await run_batch(Desk(services.store, job, services.settings), Request(TOKEN_REFRESH), refresh_token)


@task(name="promise-refreshes", retries=2, retry_delay_seconds=[2, 10], persist_result=False, cache_policy=NO_CACHE)
async def promise_refreshes() -> list[Expiring]:
    """One batch, one transaction; where it fails nothing of it was written, and Prefect tries it again."""
    run = str(flow_run.id) if flow_run.id else None
    async with open_services() as services:
        return await promise_batch(services.store, services.settings, Waker("schedule", run))


@task(
    name="refresh-token",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_jitter_factor=1,
    retry_condition_fn=asks_again,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def refresh_token(label: str, occurrence_id: str) -> State[None]:
    """One round of attempts at a chunk of refreshes; Prefect runs it again while the ledger asks for that."""
    return await attempt_in_batch(occurrence_id)
