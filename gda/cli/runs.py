"""Flow runs that a person asked for: created, watched to their end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from gda.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

POLL_SECONDS = 1.0


@asynccontextmanager
async def prefect_client() -> AsyncIterator["PrefectClient"]:
    """An open client of the configured Prefect API. Raises Unavailable when it does not answer."""
    from gda.glue.api import reachable

    await reachable()
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        yield client


async def create_run(
    client: "PrefectClient", kind: str, user_id: str, *, at: str | None = None, extra: bool = False
) -> "FlowRun":
    """Make a flow run of the user's deployment. Raises UsageError when the user has none."""
    from prefect.exceptions import ObjectNotFound

    from deployments.kinds import kind_spec
    from gda.glue.runs import run_by_hand
    from gda.registry import load_registry

    spec = await asyncio.to_thread(kind_spec, load_registry().get(kind))
    try:
        deployment = await client.read_deployment_by_name(f"{spec.flow_name}/{spec.deployment_name(user_id)}")
    except ObjectNotFound:
        raise UsageError(
            f"{user_id} has no {kind} deployment in Prefect yet: run `gda apply`, "
            f'after `gda schedule set {user_id} {kind} "daily 07:30"` where there is no schedule'
        ) from None
    return await run_by_hand(client, deployment.id, user_id, at=at, extra=extra)


async def until_final(client: "PrefectClient", run_id: UUID) -> "FlowRun":
    """Wait until a flow run has ended, however long that takes."""
    while True:
        run = await client.read_flow_run(run_id)
        if run.state is not None and run.state.is_final():
            return run
        await asyncio.sleep(POLL_SECONDS)
