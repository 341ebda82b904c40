"""Ending Prefect's side of flow runs whose process is gone."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

from gda.errors import Transient
from gda.glue.busy import tries

log = logging.getLogger("gda.glue")

BULK = 50
"""The most that Prefect's API changes in one call."""


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


async def end_waiting_runs(client: PrefectClient, run_ids: Sequence[str], state: State[None]) -> int:
    """Bring flow runs that have not begun to their final ``state``, the first ones first, many in one call.

    One that begins meanwhile is left.

    Returns:
        How many Prefect took.

    Raises:
        httpx.HTTPError: the API is away, or so busy that it refuses.
    """
    written = {"type": state.type.value, "name": state.name, "message": state.message}
    return sum([await _end_part(client, run_ids[at : at + BULK], written) for at in range(0, len(run_ids), BULK)])


async def _end_part(client: PrefectClient, run_ids: Sequence[str], state: Mapping[str, Any]) -> int:
    wanted = {"id": {"any_": list(run_ids)}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    body = {"flow_runs": wanted, "state": state, "limit": BULK}
    taken = 0
    try:
        async for attempt in tries():
            with attempt:
                # Prefect types the path as one of the routes it knew when that list was written; this one came later.
                answer = await client.request("POST", cast(Any, "/flow_runs/bulk_set_state"), json=body)
                statuses = [one["status"] for one in answer.json()["results"]]
                taken += statuses.count(SetStateStatus.ACCEPT.value)
                _require_all(statuses)
    except Transient as refused:  # The next sweep cancels them.
        log.warning("%s", refused)
    return taken


def _require_all(statuses: Sequence[str]) -> None:
    if refused := statuses.count(SetStateStatus.ABORT.value):
        raise Transient(f"{refused} of {len(statuses)} flow runs that need not begin were not cancelled by Prefect")
