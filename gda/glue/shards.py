"""Sharing a big batch: a wake-up that finds more than one process should do asks for further runs of its deployment.

The runs share by claiming: each takes what the others have not, so none is told which part is its own.
"""

import math

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from gda.runner import WakeUp
from gda.settings import Settings
from gda.store import Store

SHARD = "shard"
"""Tag of a run that another one asked for; it asks for none itself."""


CHEAPER = 4
"""An occurrence in a chunk costs flow run and server together about a quarter: 6 instead of 17 ms (bench/queue.py)."""


def shards_wanted(backlog: int, settings: Settings, chunk: int = 1) -> int:
    """How many further runs should share ``backlog`` occurrences, of which ``chunk`` share a task run."""
    size = settings.shard_size * min(chunk, CHEAPER)
    return min(max(math.ceil(backlog / size) - 1, 0), settings.shard_runs)


async def ask_for_shards(store: Store, call: WakeUp, settings: Settings, chunk: int = 1) -> int:
    """Ask Prefect for runs that share the running flow's batch, where it is large enough.

    Args:
        store: where the backlog is counted.
        call: the wake-up; one for a single user, or by hand, is never shared.
        settings: ``shard_size`` and ``shard_runs``.
        chunk: how many occurrences share a task run.

    Returns:
        How many runs were asked for.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or SHARD in run.tags or call.by_hand or call.scope.of_one:
        return 0
    wanted = shards_wanted(await store.ledger.backlog(call.scope), settings, chunk)
    for number in range(1, wanted + 1):
        await _ask(run, number)
    return wanted


async def _ask(run: FlowRun, number: int) -> None:
    assert run.deployment_id is not None
    async with get_client() as client:
        await client.create_flow_run_from_deployment(
            run.deployment_id,
            parameters=run.parameters,
            name=f"{run.name} {SHARD} {number}",
            tags=["gda", SHARD],
            idempotency_key=f"{SHARD}:{run.id}:{number}",
        )
