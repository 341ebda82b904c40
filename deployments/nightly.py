"""The nightly apply: cohorts that nobody is in any more go, and what drifted in Prefect comes back."""

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed

import blocks
from deployments.apply import apply
from deployments.pauses import keep_pauses
from deployments.planning import applying, make_plan
from gda.errors import NotLeader
from gda.glue.alive import known_alive
from gda.glue.api import require_private_api
from gda.glue.superseding import supersede_late_runs
from gda.registry import load_registry
from gda.renaming import adopt_renamed
from gda.store import open_store


@flow(name="apply", version="1", on_running=[supersede_late_runs], persist_result=False)
async def apply_at_night() -> State[None]:
    """Bring users' deployments in line with their schedules, unless somebody else is at it."""
    require_private_api()
    settings = await blocks.load_settings()
    try:
        async with (
            open_store(settings) as store,
            known_alive(store),
            applying(store, settings) as leader,
            get_client() as client,
        ):
            await adopt_renamed(store, load_registry())
            found = await make_plan(store, client, settings, prune=True)
            leader.require()
            await keep_pauses(store, found)
            await apply(found, client)
    except NotLeader as error:
        return Completed(name="NotLeader", message=str(error))
    return Completed(message=found.summary())
