"""A ledger on either database beside a real Prefect server, with the users' deployments applied there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, cast
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from deployments.apply import apply, read_existing
from deployments.plan import Existing, Plan
from deployments.planning import make_plan
from deployments.pools import ensure_pool, pool_specs
from gda.glue.commands import heed
from gda.glue.drains import ensure_drain, ensure_stand_in
from gda.glue.sweeping import close_runs
from gda.lifecycle import Occurrence
from gda.settings import Settings
from gda.store import Schedule, Store, Waker
from gda.sweep import Swept, sweep
from tests.builders import VirtualClock, a_store
from tests.support.prefect_server import PrefectServer

GRACE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a test moves in; the ledger's clock moves only when the test says so, Prefect's is the real one."""

    client: PrefectClient
    store: Store
    clock: VirtualClock
    layout: Literal["user", "cohort"] = "user"

    async def planned(self) -> Plan:
        """What `gda apply` would change for users now."""
        return await make_plan(self.store, self.client, Settings(layout=self.layout))

    async def applied(self) -> Existing:
        """Apply; returns the one deployment there is."""
        for pool in pool_specs(Settings()):
            await ensure_pool(self.client, pool)
        await apply(await self.planned(), self.client)
        [only] = await read_existing(self.client)
        return only

    async def coming(self, deployment: Existing) -> FlowRun:
        """The next run of the deployment as Prefect's scheduler makes it."""
        path = cast(Any, f"/deployments/{deployment.id}/schedule")
        await self.client.request("POST", path, json={"min_runs": 1})
        body = {"flow_runs": {"deployment_id": {"any_": [deployment.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        first = (await self.client.request("POST", "/flow_runs/filter", json=body)).json()[0]
        assert first["auto_scheduled"]
        return await self.client.read_flow_run(UUID(first["id"]))

    async def switched(self, deployment: Existing, *, active: bool) -> None:
        """Switch the deployment's one schedule off or on, as the UI does."""
        path = f"/deployments/{deployment.id}/schedules/{deployment.schedule_ids['default']}"
        await self.client.request("PATCH", cast(Any, path), json={"active": active})

    async def swept(self) -> Swept:
        """One sweep, with Prefect's side real."""
        return await sweep(
            self.store,
            Settings(),
            Waker("sweep"),
            ensure_drain=ensure_drain,
            stand_in=ensure_stand_in,
            close_runs=partial(close_runs, client=self.client, grace=GRACE, own=None),
            heed=partial(heed, client=self.client, early=-GRACE),
        )

    async def rows(self) -> list[Occurrence]:
        """All occurrences, the latest due first."""
        return await self.store.history.list()

    async def schedule(self) -> Schedule:
        """The one schedule there is."""
        [only] = await self.store.schedules.all()
        return only

    async def state_of(self, run_id: UUID) -> str:
        """The name of a flow run's state."""
        run = await self.client.read_flow_run(run_id)
        assert run.state is not None
        return run.state.name or ""


@asynccontextmanager
async def deployed(
    server: PrefectServer, database_url: str, *, layout: Literal["user", "cohort"] = "user"
) -> AsyncIterator[Deployed]:
    """An empty ledger whose clock stands at the real time."""
    clock = VirtualClock(datetime.now(UTC))
    async with server.client() as client, a_store(database_url, clock=clock) as store:
        yield Deployed(client, store, clock, layout)
