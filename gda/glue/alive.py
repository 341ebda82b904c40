"""A sign of life for flow runs that hold no occurrence: without one the sweep closes them after five minutes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from prefect.runtime import flow_run

from gda.leadership import Leadership
from gda.store import Store
from gda.store.leases import RUN

TTL = timedelta(seconds=60)


@asynccontextmanager
async def known_alive(store: Store) -> AsyncIterator[None]:
    """Hold a named lease for the running flow run, refreshed until the block ends; nothing outside a flow run."""
    if not flow_run.id:
        yield
        return
    name = f"{RUN}{flow_run.id}"
    try:
        async with Leadership(store.leases, name, name, TTL):
            yield
    finally:
        await store.leases.forget(name)
