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
DRAIN = "drain"


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
    """Make a flow run for one user: of the user's deployment, or in layout cohort of the kind's drain.

    Raises:
        UsageError: Prefect has neither.
    """
    from prefect.exceptions import ObjectNotFound

    from deployments.kinds import kind_spec
    from gda.glue.runs import run_by_hand
    from gda.registry import load_registry

    spec = await asyncio.to_thread(kind_spec, load_registry().get(kind))
    parameters = spec.parameters(user_id)
    for name in (spec.deployment_name(user_id), DRAIN):
        try:
            deployment = await client.read_deployment_by_name(f"{spec.flow_name}/{name}")
        except ObjectNotFound:
            continue
        return await run_by_hand(client, deployment.id, parameters, at=at, extra=extra)
    raise UsageError(
        f"Prefect has neither a {kind} deployment of {user_id} nor {spec.flow_name}/{DRAIN}: "
        "run `gda apply --system` and `gda apply`"
    )


async def until_final(client: "PrefectClient", run_id: UUID) -> "FlowRun":
    """Wait until a flow run has ended, however long that takes."""
    while True:
        run = await client.read_flow_run(run_id)
        if run.state is not None and run.state.is_final():
            return run
        await asyncio.sleep(POLL_SECONDS)
