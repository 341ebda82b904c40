"""Big batches: in a crowd occurrences share task runs; beyond one process's work, further flow runs share the batch.

Those runs share by claiming: each takes what the others have not, so none is told which part is its own.
"""

import logging
import math
from dataclasses import replace
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from gda.errors import Transient
from gda.glue.busy import tries
from gda.glue.queues import beside
from gda.runner import Desk, WakeUp
from gda.settings import Settings

log = logging.getLogger("gda.glue")

SHARD = "shard"
"""Tag of a run that another one asked for; it asks for none itself."""
CHEAPER = 4
"""An occurrence in a chunk costs flow run and server together about a quarter: 6 instead of 17 ms (bench/queue.py)."""


def shards_wanted(backlog: int, settings: Settings, chunk: int = 1) -> int:
    """How many further runs should share ``backlog`` occurrences, of which ``chunk`` share a task run."""
    size = settings.shard_size * min(chunk, CHEAPER)
    return min(max(math.ceil(backlog / size) - 1, 0), settings.shard_runs)


async def prepare(desk: Desk, call: WakeUp) -> Desk:
    """Look how much there is to do: ask Prefect for runs that share it, and let a crowd share task runs.

    Args:
        desk: ``shard_size``, ``shard_runs`` and ``crowd`` of its settings decide.
        call: the wake-up; one for a single user, or by hand, stays alone.

    Returns:
        The desk to work at.
    """
    if call.by_hand or call.scope.of_one:
        return desk
    backlog = await desk.store.ledger.backlog(call.scope)
    await ask_for_shards(backlog, desk)
    return replace(desk, job_type=desk.job_type.in_crowd()) if backlog > desk.settings.crowd else desk


async def ask_for_shards(backlog: int, desk: Desk) -> int:
    """Ask Prefect for runs that share the running flow's ``backlog``, where it is large enough; how many there are."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or SHARD in run.tags:
        return 0
    wanted = shards_wanted(backlog, desk.settings, desk.job_type.chunk)
    return await create_shards(run, wanted) if wanted else 0


async def create_shards(run: FlowRun, wanted: int) -> int:
    """Ask for all of them in one call; its keys are heeded as the single call's are, so asking again makes none.

    Args:
        run: of a deployment; the shards are that deployment's too, so any worker of its pool takes them.
        wanted: how many, at most 100 (Prefect 3.8's ``BULK_CREATE_LIMIT``).

    Returns:
        How many of them there are now.
    """
    shards = [
        {
            "name": f"{run.name} {SHARD} {number}",
            "parameters": run.parameters,
            "tags": ["gda", SHARD],
            "work_queue_name": beside(run.work_queue_name),
            "idempotency_key": f"{SHARD}:{run.id}:{number}",
        }
        for number in range(1, wanted + 1)
    ]
    created = 0
    async with get_client() as client:
        try:
            async for attempt in tries():
                with attempt:
                    results = await _ask(client, run, shards)
                    created = sum(one["status"] == "CREATED" for one in results)
                    _require_all(results)
        except Transient as refused:  # The others do the whole batch; it only takes longer.
            log.warning("%s", refused)
    return created


async def _ask(client: PrefectClient, run: FlowRun, shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # Prefect types ``path`` as one of the routes it knew when that list was written; the bulk ones came later.
    path: Any = f"/deployments/{run.deployment_id}/create_flow_run/bulk"
    results: list[dict[str, Any]] = (await client.request("POST", path, json=shards)).json()["results"]
    return results


def _require_all(results: list[dict[str, Any]]) -> None:
    refused = [str(one["error"]) for one in results if one["status"] != "CREATED"]
    if refused:
        # What follows the first line is the server's whole statement, with all its parameters.
        why = refused[0].partition("\n")[0]
        raise Transient(f"{len(refused)} of {len(results)} shards were refused: {why}")
