"""The place that goes away and comes back: users whose digests fall due meanwhile, system jobs, workers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from deployments.apply import apply
from deployments.planning import make_plan
from deployments.pools import SYSTEM_AT_ONCE
from deployments.system import apply_system, find_file
from gda.cli.servers import LATE_SECONDS, SERVER_ENVIRONMENT
from gda.settings import Settings
from gda.store import Store, Wish
from tests.builders import a_store
from tests.support.gate import Gate, a_gate
from tests.support.household import sandbox_settings, settle_in
from tests.support.prefect_server import PrefectServer, running_prefect_server, running_worker
from tests.support.sandbox import RunningSandbox, plain_mail, running_sandbox
from tests.support.town import eventually, kill_with_descendants

FIRST_DUE = 8
"""Minutes until the first slot; the last of four in an hour is then missed by three minutes and more, and the next one
comes in eight, so that what was missed is not mixed up with what comes."""
ZONES = ("America/New_York", "Asia/Kathmandu", "Europe/Berlin", "Pacific/Apia", "Africa/Cairo")
LONGEST_WAIT = 60
"""Seconds after which one digest that is being performed is enough to kill all."""
PAGE = 200
NEEDED = ("sweep_enabled", "digest_drain_enabled")
FRESH = "fresh"
"""Whose digest a person asks for right after the return."""


@dataclass(frozen=True, slots=True)
class Place:
    """What outlives the outage: ledger, mail server, settings."""

    folder: Path
    store: Store
    google: RunningSandbox
    gate: Gate
    settings: Settings
    users: tuple[str, ...]

    def mails(self, user: str) -> int:
        """How many digests arrived at the user's."""
        return len(self.google.sandbox.accepted.find(user=f"{user}@example.org"))


@dataclass(frozen=True, slots=True)
class Running:
    """What dies: a Prefect server and a worker for each pool."""

    server: PrefectServer
    client: PrefectClient
    pids: tuple[int, ...]

    def kill(self) -> None:
        """SIGKILL for all of it, flow runs too."""
        for pid in self.pids:
            kill_with_descendants(pid)

    async def runs(self, **wanted: Any) -> list[FlowRun]:
        """All of GDA's flow runs that ``wanted`` describes, the earliest first."""
        asked = FlowRunFilter.model_validate({"tags": {"all_": ["gda"]}, **wanted})
        found: list[FlowRun] = []
        while len(found) % PAGE == 0:
            part = await self.client.read_flow_runs(
                flow_run_filter=asked, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=PAGE, offset=len(found)
            )
            found += part
            if not part:
                break
        return found

    async def quick_run(self, user: str) -> FlowRun:
        """Ask for a digest of the user's beside the schedule, as a person does in the UI."""
        deployment = await self.client.read_deployment_by_name(f"digest/{user}")
        return await self.client.create_flow_run_from_deployment(deployment.id, parameters={"extra": True})


def expression(number: int, now: datetime) -> tuple[str, str]:
    """When the user of this number gets digests: four times an hour, twice, or once an hour elsewhere."""
    first = (now + timedelta(minutes=FIRST_DUE + number % 5)).minute
    times, zone = ((4, "UTC"), (2, "UTC"), (1, ZONES[number % len(ZONES)]))[number % 3]
    if times == 1:
        first = (now + timedelta(minutes=FIRST_DUE + number % 40)).astimezone(_zone(zone)).minute
    minutes = sorted((first + 60 // times * each) % 60 for each in range(times))
    return f"{','.join(map(str, minutes))} * * * *", zone


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


@asynccontextmanager
async def a_place(folder: Path, users: int, *, small: bool = False, limit: int | None = None) -> AsyncIterator[Place]:
    """Users with schedules of which none is due yet, and one whose digest is due once a day.

    ``limit`` flow runs are at once in its pool (the default's number when left out). A small one has two, and of the
    system jobs the sweep and the drain of digests alone.
    """
    names = tuple(f"user-{number:03}" for number in range(users))
    url = f"sqlite+aiosqlite:///{folder}/gda.db"
    (folder / "mail").mkdir()
    (folder / "mail" / "1.eml").write_bytes(plain_mail("The only one"))
    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(running_sandbox())
        gate = await stack.enter_async_context(a_gate(google.smtp_port))
        store = await stack.enter_async_context(a_store(url))
        now = datetime.now(UTC)
        hourly = f"{(now + timedelta(minutes=30)).minute} * * * *"
        crons: dict[str, Any] = {"retention_cron": hourly, "apply_cron": hourly}
        if limit:
            crons["prefect_pool_limit"] = limit
        if small:
            off = [name for name in Settings.model_fields if name.endswith("_enabled") and name not in NEEDED]
            crons = {"prefect_pool_limit": 2, **dict.fromkeys(off, False)}
        # Whoever stands before the shut gate shall stand there until all is killed, however slow the machine is.
        settings = sandbox_settings(google, url, smtp_port=gate.port, smtp_timeout_seconds=240, **crons)
        await settle_in(store, settings, google, (*names, FRESH), folder / "mail")
        tomorrow = now + timedelta(hours=12)
        await store.schedules.set(Wish(FRESH, "digest", f"daily {tomorrow:%H:%M}", timezone="UTC"))
        for number, user in enumerate(names):
            cron, zone = expression(number, now)
            await store.schedules.set(Wish(user, "digest", cron, timezone=zone))
        yield Place(folder, store, google, gate, settings, names)


@asynccontextmanager
async def all_running(place: Place, *, deploy: bool) -> AsyncIterator[Running]:
    """Server and workers, with what is in the server's database or, when asked for, deployed anew."""
    more = SERVER_ENVIRONMENT | {"PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": LATE_SECONDS}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_prefect_server(place.folder / "prefect", **more))
        client = await stack.enter_async_context(server.client())
        if deploy:
            await apply_system(client, place.settings, find_file())
            await apply(await make_plan(place.store, client, place.settings), client)
        pools = {"gda": place.settings.prefect_pool_limit, "gda-system": SYSTEM_AT_ONCE}
        contexts = [
            running_worker(server, pool, home=place.folder / pool, name=pool, limit=limit)
            for pool, limit in pools.items()
        ]
        workers = await asyncio.gather(*(stack.enter_async_context(one) for one in contexts))
        yield Running(server, client, (*(worker.pid for worker in workers), server.pid))


async def caught_running(place: Place, running: Running, *, free: int = 0) -> None:
    """Bring digests to where they stand before the mail server: all the pool lets run and one behind, or all but some.

    Args:
        place: where.
        running: who performs them.
        free: how many places of the pool stay free.
    """
    place.gate.shut()
    limit, begun = place.settings.prefect_pool_limit - free, time.monotonic()
    for user in place.users[: limit if free else limit + 1]:
        await running.quick_run(user)

    async def claimed() -> bool:
        wanted = limit if time.monotonic() - begun < LONGEST_WAIT else 1
        return (await place.store.history.counts()).get("running", 0) >= wanted

    await eventually(claimed, "digests are being performed")
    await asyncio.wait_for(place.gate.waiting.wait(), 60)
