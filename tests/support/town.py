"""Everything real at once: a Prefect server, GDA's pools, blocks and deployments, a sandbox, a store, users.

Workers are started by the tests that need them, with nothing but the address of the Prefect API.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

import blocks
from bench.processes import descendants
from deployments.apply import apply, read_existing
from deployments.kinds import load_kinds
from deployments.plan import plan
from deployments.spec import user_deployments
from deployments.system import apply_system, find_file
from gda.sandbox.faults import Fault
from gda.settings import Settings
from gda.store import Store, Story
from tests.builders import a_store
from tests.support.household import sandbox_settings, settle_in
from tests.support.prefect_server import PrefectServer
from tests.support.sandbox import RunningSandbox, running_sandbox

PATIENCE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Town:
    """What a test moves in."""

    server: PrefectServer
    client: PrefectClient
    google: RunningSandbox
    store: Store
    settings: Settings

    async def triggered(self, user: str, **parameters: Any) -> UUID:
        """Quick-run a user's deployment and return the flow run's id."""
        deployment = await self.client.read_deployment_by_name(f"digest/{user}")
        return (await self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters)).id

    async def ended(self, run_id: UUID) -> FlowRun:
        """Wait until a flow run has ended."""

        async def final() -> FlowRun | None:
            run = await self.client.read_flow_run(run_id)
            return run if run.state and run.state.is_final() else None

        run: FlowRun = await eventually(final, f"flow run {run_id} ends")
        return run

    async def story(self, user: str) -> Story:
        """Everything about the user's one occurrence."""
        [occurrence] = await self.store.history.list(user_id=user)
        return await self.store.history.story(occurrence.id)

    async def mail_server_at(self, port: int) -> None:
        """Tell every worker, through the blocks, that the mail server listens elsewhere."""
        await blocks.register_all(self.settings.model_copy(update={"smtp_port": port}))

    def fault(self, kind: Any, **details: Any) -> None:
        """Switch a fault of the sandbox on."""
        self.google.sandbox.faults.switch_on(Fault(kind, **details))

    def accepted(self, user: str) -> list[Any]:
        """The mails that the sandbox's mail server took for the user."""
        return self.google.sandbox.accepted.find(user=f"{user}@example.org")


@asynccontextmanager
async def a_town(
    server: PrefectServer, folder: Path, *users: str, mail: Path | None = None, **settings: Any
) -> AsyncIterator[Town]:
    """Settle users on ``server``: pools, blocks and system jobs are applied, then one deployment per user."""
    url = f"sqlite+aiosqlite:///{folder}/gda.db"
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(server.client())
        google = await stack.enter_async_context(running_sandbox())
        configured = sandbox_settings(google, url, digest_drain_enabled=False, **settings)
        store = await stack.enter_async_context(a_store(url))
        await settle_in(store, configured, google, users, mail)
        await apply_system(client, configured, find_file())
        wanted = user_deployments(await store.schedules.all(), load_kinds(), configured)
        await apply(plan(wanted, await read_existing(client)), client)
        yield Town(server, client, google, store, configured)


async def eventually(ask: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Ask until the answer is true, and return it; fail when that takes longer than ``PATIENCE_SECONDS``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if answer := await ask():
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s in vain until {what}")


def kill_with_descendants(pid: int) -> None:
    """SIGKILL a process and all it has started, at once: no handler runs."""
    for victim in [pid, *descendants(pid)]:
        os.kill(victim, signal.SIGKILL)
