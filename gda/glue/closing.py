"""Ending Prefect's side of flow runs whose process is gone."""

import logging
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

log = logging.getLogger("gda.glue")


async def end_run(client: PrefectClient, run_id: str, state: State[None]) -> bool:
    """Bring a flow run to its final ``state``, unless it has one already.

    One run that is gone, or that Prefect refuses to end, must not keep its caller from ending the others.

    Returns:
        Whether Prefect took the state.

    Raises:
        httpx.TransportError: the API is away.
    """
    try:
        run = await client.read_flow_run(UUID(run_id))
        if run.state is not None and run.state.is_final():
            return False
        answer = await client.set_flow_run_state(run.id, state)
    except ObjectNotFound:
        return False
    except (httpx.HTTPStatusError, ValueError) as error:
        log.warning("flow run %s could not be ended (%s)", run_id, type(error).__name__)
        return False
    if answer.status != SetStateStatus.ACCEPT:
        log.warning("flow run %s was not ended: Prefect answered %s", run_id, answer.status.value)
    return answer.status == SetStateStatus.ACCEPT
