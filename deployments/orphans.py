"""Orphans, coming runs that no schedule stands behind: of deployments that are gone, of a creation that was repeated.

Prefect's scheduler reads schedules in one transaction and inserts their runs in another. A creation whose answer was
lost is sent again by the client and replaces the schedules it made at first; what the scheduler had read of those, it
inserts after that (seen with Prefect 3.8.8). Each slot would then be woken for twice, and every second run end with
"already settled".
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from deployments.calls import BULK, call, pages

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

PATIENCE_SECONDS = 10
"""Two pauses between passes of Prefect's scheduler over deployments just written
(``PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS``, 5 by default)."""


async def remove_runs(client: "PrefectClient", deployments: Collection[str]) -> None:
    """Remove runs not yet begun: those waiting for a slot outlive their deployment, and the scheduler may add some.

    Args:
        client: an open Prefect client.
        deployments: ids of deployments that are gone.
    """
    await _delete(client, _waiting(deployments))


async def remove_runs_of_replaced_schedules(
    client: "PrefectClient", repeated: Sequence[Mapping[str, Any]], *, patience: float = PATIENCE_SECONDS
) -> int:
    """Remove what the scheduler made for schedules that a repeated creation has replaced.

    Args:
        client: an open Prefect client.
        repeated: the API's answers to the creations that were repeated.
        patience: seconds to wait until the scheduler has made runs for the new schedules, and so has done with the old.

    Returns:
        How many were removed.
    """
    ids = [one["id"] for one in repeated]
    schedules = {schedule["id"]: schedule["active"] for one in repeated for schedule in one["schedules"]}
    runs: list[dict[str, Any]] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not {one for one, active in schedules.items() if active} <= {_maker(run) for run in runs}:
                await asyncio.sleep(0.2)
                runs = await pages(client, "/flow_runs/filter", {"flow_runs": _waiting(ids)})
    gone = [run["id"] for run in runs if run["auto_scheduled"] and _maker(run) not in schedules]
    if gone:
        await _delete(client, {"id": {"any_": gone}})
    return len(gone)


async def _delete(client: "PrefectClient", which: Mapping[str, Any]) -> None:
    while True:
        answer = await call(client, "POST", "/flow_runs/bulk_delete", {"flow_runs": which, "limit": BULK})
        if len(answer.json()["deleted"]) < BULK:
            return


def _waiting(deployments: Collection[str]) -> dict[str, Any]:
    return {"deployment_id": {"any_": sorted(deployments)}, "state": {"type": {"any_": ["SCHEDULED"]}}}


def _maker(run: Mapping[str, Any]) -> str:
    return str((run["created_by"] or {}).get("id"))
