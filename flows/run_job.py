"""Any kind's waiting work: one flow run performs what lies in a kind's queue, each occurrence a Prefect task run."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.services import open_services
from gda.binding import opened
from gda.glue.batch import attempt_in_batch, run_batch
from gda.glue.runs import Request, asks_again, first_name
from gda.registry import load_registry
from gda.runner import Desk


@flow(name="run-job", version="1", flow_run_name=first_name, persist_result=False)
async def run_job(kind: str, queue: str | None = None) -> State[None]:
    """Perform what waits.

    Args:
        kind: of which job type.
        queue: only what lies in this queue; every queue's when not given.
    """
    job_type = load_registry().get(kind)
    async with open_services() as services, opened(job_type, services.settings, services.store) as job:
        return await run_batch(Desk(services.store, job, services.settings), Request(job.kind, queue=queue), perform)


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
