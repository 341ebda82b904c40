"""One batch of digests through deployment and process worker, against plain Prefect doing the same one by one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.mailboxes import make_accounts, make_people
from bench.processes import Watch, cpu_seconds, server_pid
from deployments.system import apply_system, find_file
from gda.cli.demo.stage import PREFECT_DATABASE
from gda.cli.servers import SERVER_ENVIRONMENT
from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import Wish, make_store, open_database, upgrade
from gda.vault import new_key
from tests.support.prefect_server import PrefectServer, prefect_server_process, running_worker
from tests.support.sandbox import SpawnedSandbox, spawned_sandbox

POOL = "gda"
POOL_LIMIT = 4
PATIENCE_SECONDS = 3600

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times in seconds, memory in MiB, CPU in milliseconds per digest."""

    users: int
    batch_seconds: float
    batch_per_second: float
    batch_peak_mebibytes: float
    delivered: int
    duplicates: int
    plain_runs: int
    plain_seconds: float
    plain_per_second: float
    ratio: float
    cpu_flow: float
    cpu_server: float
    cpu_sandbox: float
    plain_cpu_flow: float
    plain_cpu_server: float

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        return [
            (f"GDA: {self.users} digests, trigger to last settle", f"{self.batch_seconds:.1f} s"),
            ("GDA: digests per second", f"{self.batch_per_second:.1f}"),
            ("GDA: delivered / duplicates", f"{self.delivered} / {self.duplicates}"),
            ("GDA: peak memory of the flow run", f"{self.batch_peak_mebibytes:.0f} MiB"),
            (f"plain Prefect: {self.plain_runs} digests, pool limit {POOL_LIMIT}", f"{self.plain_seconds:.1f} s"),
            ("plain Prefect: digests per second", f"{self.plain_per_second:.2f}"),
            ("ratio", f"{self.ratio:.0f}"),
            ("CPU per digest, GDA: flow run", f"{self.cpu_flow:.1f} ms"),
            ("CPU per digest, GDA: Prefect server", f"{self.cpu_server:.1f} ms"),
            ("CPU per digest, GDA: sandbox (Gmail and mail server)", f"{self.cpu_sandbox:.1f} ms"),
            ("CPU per digest, plain: flow run process", f"{self.plain_cpu_flow:.0f} ms"),
            ("CPU per digest, plain: Prefect server", f"{self.plain_cpu_server:.0f} ms"),
        ]


@dataclass(frozen=True, slots=True)
class Arena:
    """The processes that both contestants share."""

    server: PrefectServer
    client: PrefectClient
    sandbox: SpawnedSandbox
    settings: Settings
    worker_pid: int
    server_pid: int
    accounts: Sequence[dict[str, Any]]


class EarlierClock:
    """The store's clock while users are made: far enough back that their hourly digest is due now."""

    async def now(self, connection: AsyncConnection) -> datetime:
        """An instant 65 minutes ago."""
        return datetime.now(UTC) - timedelta(minutes=65)


async def measure(*, users: int, plain_runs: int, say: Say) -> Figures:
    """Run both contestants on the same server and sandbox, one after the other.

    Args:
        users: in GDA's batch, each with 10 messages of 3 to 30 kB.
        plain_runs: of plain Prefect, each for one of these users.
        say: told what is going on.
    """
    with TemporaryDirectory(prefix="gda-bench-") as folder:
        async with arena(Path(folder), users, say) as ring:
            say(f"plain Prefect: {plain_runs} flow runs")
            plain = await run_plain(ring, plain_runs)
            say(f"GDA: one batch of {users}")
            batch = await run_batch(ring, users)
    return Figures(
        users=users,
        plain_runs=plain_runs,
        ratio=batch["batch_per_second"] / plain["plain_per_second"],
        **batch,
        **plain,
    )


@asynccontextmanager
async def arena(folder: Path, users: int, say: Say) -> AsyncIterator[Arena]:
    """Start server, sandbox and worker, and make the users."""
    async with AsyncExitStack() as stack:
        say("starting the sandbox and the Prefect server")
        sandbox = await stack.enter_async_context(spawned_sandbox())
        server = stack.enter_context(
            prefect_server_process(folder / "prefect", database_url=PREFECT_DATABASE, **SERVER_ENVIRONMENT)
        )
        settings = settings_for(folder, sandbox)
        say(f"making {users} users")
        accounts = await make_users(settings, sandbox, users)
        client = await stack.enter_async_context(server.client())
        await apply_system(client, settings, find_file())
        environment = {"GDA_HOME": str(folder / "gda")} | plain_environment(settings)
        worker = await stack.enter_async_context(
            running_worker(server, POOL, home=folder / "worker", environment=environment)
        )
        yield Arena(server, client, sandbox, settings, worker.pid, server_pid(server.api_url), accounts)


def settings_for(folder: Path, sandbox: SpawnedSandbox) -> Settings:
    """Settings that point at the sandbox."""
    return Settings(
        home=folder / "gda",
        database_url=SecretStr(f"sqlite+aiosqlite:///{folder}/gda/gda.db"),
        keys=SecretStr(new_key()),
        google_client_id="gda-sandbox",
        google_client_secret=SecretStr("sandbox-secret"),
        google_token_url=f"{sandbox.http}/token",
        google_api_url=sandbox.http,
        smtp_port=sandbox.smtp_port,
        smtp_security="none",
        mail_settling_seconds=30,
        prefect_pool_limit=POOL_LIMIT,
        digest_drain_enabled=False,
    )


def plain_environment(settings: Settings) -> dict[str, str]:
    """What plain Prefect's flow reads from the environment, as such flows do."""
    return {
        "GDA_GOOGLE_TOKEN_URL": settings.google_token_url,
        "GDA_GOOGLE_API_URL": settings.google_api_url,
        "GDA_SMTP_PORT": str(settings.smtp_port),
        "GDA_SMTP_SECURITY": settings.smtp_security,
    }


async def make_users(settings: Settings, sandbox: SpawnedSandbox, users: int) -> list[dict[str, Any]]:
    """Make users with mailboxes, sealed tokens and a digest that is due now."""
    accounts = await make_accounts(sandbox, users)
    database = open_database(settings.database, clock=EarlierClock())
    try:
        await upgrade(database)
        store = make_store(database, settings)
        await make_people(store, settings, accounts)
        # Due once only, however long this takes and whichever hour passes meanwhile.
        daily = f"daily {datetime.now(UTC) - timedelta(minutes=30):%H:%M}"
        await store.schedules.add_many([Wish(f"u{n}", "digest", daily) for n in range(users)], {})
    finally:
        await database.close()
    return accounts


async def run_batch(ring: Arena, users: int) -> dict[str, Any]:
    """Trigger the drain deployment once and wait until every digest is settled."""
    earlier = await stats(ring.sandbox)
    before = cpu_seconds(ring.server_pid), cpu_seconds(ring.sandbox.process.pid)
    deployment = await ring.client.read_deployment_by_name("digest/drain")
    database = open_database(ring.settings.database)
    history = make_store(database, ring.settings).history
    started = time.monotonic()
    with Watch(ring.worker_pid) as watch:
        run = await ring.client.create_flow_run_from_deployment(deployment.id)
        while (await history.counts()).get(Status.DONE, 0) < users:
            await check(ring.client, run.id, started)
        seconds = time.monotonic() - started
        await ended(ring.client, [run.id])
    after = await stats(ring.sandbox)
    if (delivered := after["accepted"] - earlier["accepted"]) != users:
        raise RuntimeError(f"{delivered} of {users} digests were delivered: {await history.counts()}")
    await database.close()
    return {
        "batch_seconds": seconds,
        "batch_per_second": users / seconds,
        "batch_peak_mebibytes": max(watch.peak.values(), default=0.0),
        "delivered": delivered,
        "duplicates": after["duplicate_occurrences"],
        "cpu_flow": sum(watch.cpu.values()) / users * 1000,
        "cpu_server": (cpu_seconds(ring.server_pid) - before[0]) / users * 1000,
        "cpu_sandbox": (cpu_seconds(ring.sandbox.process.pid) - before[1]) / users * 1000,
    }


async def run_plain(ring: Arena, runs: int) -> dict[str, Any]:
    """Deploy the plain flow, make one run per user at once, and wait for all of them."""
    deployment_id = await deploy_plain(ring.client)
    before = cpu_seconds(ring.server_pid)
    started = time.monotonic()
    with Watch(ring.worker_pid) as watch:
        made = [await plain_run(ring, deployment_id, number) for number in range(runs)]
        await ended(ring.client, made)
        seconds = time.monotonic() - started
    return {
        "plain_seconds": seconds,
        "plain_per_second": runs / seconds,
        "plain_cpu_flow": sum(watch.cpu.values()) / runs * 1000,
        "plain_cpu_server": (cpu_seconds(ring.server_pid) - before) / runs * 1000,
    }


async def deploy_plain(client: PrefectClient) -> Any:
    """Register the plain flow under a module entrypoint, as GDA's own are."""
    from bench.plain import deliver_plain

    flow_id = await client.create_flow(deliver_plain)
    return await client.create_deployment(
        flow_id, "plain", entrypoint="bench.plain.deliver_plain", work_pool_name=POOL, pull_steps=[]
    )


async def plain_run(ring: Arena, deployment_id: Any, number: int) -> Any:
    """Ask for one user's digest."""
    account = ring.accounts[number]
    parameters = {"email": account["email"], "access_token": account["access_token"], "run": f"plain-{number}"}
    return (await ring.client.create_flow_run_from_deployment(deployment_id, parameters=parameters)).id


async def check(client: PrefectClient, run_id: Any, started: float) -> None:
    """Wait a little, and stop the measurement when the run failed or takes too long."""
    await asyncio.sleep(0.5)
    run = await client.read_flow_run(run_id)
    if run.state and (run.state.is_failed() or run.state.is_crashed() or time.monotonic() - started > PATIENCE_SECONDS):
        raise RuntimeError(f"the batch did not come to its end: {run.state.name} {run.state.message}")


async def ended(client: PrefectClient, runs: Sequence[Any]) -> None:
    """Wait until all ``runs`` have ended, and refuse failures."""
    while True:
        states = [
            run.state for run in await client.read_flow_runs(flow_run_filter=FlowRunFilter(id={"any_": list(runs)}))
        ]
        if all(state and state.is_final() for state in states):
            break
        await asyncio.sleep(0.5)
    failed = [state.message for state in states if state and not state.is_completed()]
    if failed:
        raise RuntimeError(f"{len(failed)} flow runs failed: {failed[0]}")


async def stats(sandbox: SpawnedSandbox) -> dict[str, Any]:
    """The sandbox's own count of what it accepted."""
    import httpx

    async with httpx.AsyncClient(base_url=sandbox.http, trust_env=False, timeout=60) as client:
        answer: dict[str, Any] = (await client.get("/_sandbox/stats")).json()
    return answer
