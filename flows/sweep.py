"""The sweep: each minute, whatever was missed, left or is due again is promised, freed and given a drain."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

import blocks
from gda.deaths import tell_of_all_deaths
from gda.errors import NotLeader
from gda.glue.api import require_private_api
from gda.glue.commands import heed
from gda.glue.dead_letter_news import announce_deaths
from gda.glue.drains import ensure_drain, ensure_stand_in
from gda.glue.hard_stop import ended_after
from gda.glue.sweeping import close_runs
from gda.leadership import Leadership
from gda.registry import load_registry
from gda.settings import Settings
from gda.store import Store, Waker, open_store
from gda.sweep import LEASE, LEASE_TTL, Swept, sweep

LONGEST_SECONDS = 600
"""A sweep that hangs ends, so that it does not hold its worker's only place for good."""
GRACE_SECONDS = 60
"""How much later its process ends where even its event loop hangs."""


@flow(name="sweep", version="2", persist_result=False, timeout_seconds=LONGEST_SECONDS)
async def sweep_once() -> State[None]:
    """Sweep, unless another instance does."""
    with ended_after(LONGEST_SECONDS + GRACE_SECONDS):
        require_private_api()
        return await _sweep_as_leader(await blocks.load_settings())


async def _sweep_as_leader(settings: Settings) -> State[None]:
    own = str(flow_run.id) if flow_run.id else None
    owner = f"{settings.instance_id or 'sweep'}:{own or uuid4()}"
    async with (
        open_store(settings) as store,
        Leadership(store.leases, LEASE, owner, LEASE_TTL, seize=settings.single_instance) as leader,
    ):
        if not leader.leading:
            return Completed(name="NotLeader", message="another instance sweeps")
        try:
            swept = await _sweep(store, settings, own, leader)
            await announce_deaths(store)
            await tell_of_all_deaths(store, load_registry().get)
        except NotLeader as lost:
            return Completed(name="NotLeader", message=str(lost))
    for failure in swept.failures:
        get_run_logger().warning("sweep: %s", failure)
    return Failed(message=str(swept)) if swept.failures else Completed(message=str(swept))


async def _sweep(store: Store, settings: Settings, own: str | None, leader: Leadership) -> Swept:
    grace = timedelta(seconds=settings.sweep_grace_seconds)
    async with get_client() as client:
        return await sweep(
            store,
            settings,
            Waker("sweep", own),
            ensure_drain=ensure_drain,
            stand_in=ensure_stand_in,
            close_runs=partial(close_runs, client=client, grace=grace, own=own),
            heed=partial(heed, client=client, early=-grace),
            leading=lambda: leader.leading,
        )
