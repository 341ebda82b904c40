"""The sweep: each minute, whatever was missed, left or is due again is promised, freed and given a drain."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

import blocks
from gda.deaths import tell_of_all_deaths
from gda.glue.api import require_private_api
from gda.glue.dead_letter_news import announce_deaths
from gda.glue.drains import ensure_drain
from gda.glue.sweeping import close_runs
from gda.leadership import Leadership
from gda.registry import load_registry
from gda.store import Waker, open_store
from gda.sweep import LEASE, LEASE_TTL, sweep


@flow(name="sweep", version="1", persist_result=False)
async def sweep_once() -> State[None]:
    """Sweep, unless another instance does."""
    require_private_api()
    settings = await blocks.load_settings()
    own = str(flow_run.id) if flow_run.id else None
    owner = f"{settings.instance_id or 'sweep'}:{own or uuid4()}"
    close = partial(close_runs, grace=timedelta(seconds=settings.sweep_grace_seconds), own=own)
    async with (
        open_store(settings) as store,
        Leadership(store.leases, LEASE, owner, LEASE_TTL, seize=settings.single_instance) as leader,
    ):
        if not leader.leading:
            return Completed(name="NotLeader", message="another instance sweeps")
        swept = await sweep(store, settings, Waker("sweep", own), ensure_drain=ensure_drain, close_runs=close)
        await announce_deaths(store)
        await tell_of_all_deaths(store, load_registry().get)
    for failure in swept.failures:
        get_run_logger().warning("sweep: %s", failure)
    return Failed(message=str(swept)) if swept.failures else Completed(message=str(swept))
