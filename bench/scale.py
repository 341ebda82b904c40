"""A hundred thousand users: what plan and apply take, and a thousand deployments against plain Prefect's own loop."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect.client.orchestration import PrefectClient
from pydantic import SecretStr

from bench.counted import Applied, Calls, applied, counting_client
from bench.crowd import KIND, PATTERNS, crowd, settle
from bench.plain_deploys import deploy_plainly, remove_all
from bench.prefect_database import PrefectDatabase, prefect_database
from deployments.apply import read_existing
from deployments.kinds import load_kinds
from deployments.system import apply_system, find_file
from gda.cli.servers import SERVER_ENVIRONMENT
from gda.settings import Layout, Settings
from gda.store import Store, Wish, make_store, open_database, upgrade
from tests.support.prefect_server import PrefectServer, running_prefect_server
from tests.year.people import ZONES

PLAN_SECONDS, PLAN_MEBIBYTES = 3.0, 500.0
FIRST_SECONDS, SECOND_SECONDS = 180.0, 5.0
EDIT_WRITES = 1
SHARE_OF_PLAIN = 0.6

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Layout ``cohort``: seconds, MiB, and counts."""

    users: int
    zones: int
    patterns: int
    cohorts: int
    max_cohorts: int
    deployments: int
    first_seconds: float
    import_seconds: float
    plan_seconds: float
    capacity_seconds: float
    plan_mebibytes: float
    busiest: str
    second_seconds: float
    second_writes: int
    edit_writes: tuple[int, ...]
    edit_seconds: float


@dataclass(frozen=True, slots=True)
class Users:
    """Layout ``user`` against Prefect's own loop over as many deployments."""

    users: int
    apply_seconds: float
    plain_seconds: float
    edit_writes: int

    @property
    def ratio(self) -> float:
        """GDA's share of plain Prefect's time."""
        return self.apply_seconds / self.plain_seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """Both layouts; ``misses`` says which bars were missed."""

    cohort: Cohorts
    user: Users
    prefect_database: str
    load: float

    @property
    def misses(self) -> list[str]:
        """One sentence for each missed bar."""
        one, bars = self.cohort, []
        bars.append((one.plan_seconds + one.capacity_seconds, PLAN_SECONDS, "s for plan and capacity"))
        bars.append((one.plan_mebibytes, PLAN_MEBIBYTES, "MiB held by the plan's process"))
        bars.append((one.first_seconds, FIRST_SECONDS, "s for the first apply"))
        bars.append((one.second_seconds, SECOND_SECONDS, "s for an apply without changes"))
        missed = [f"{value:.1f} {what}, the bar is below {bar:g}" for value, bar, what in bars if value >= bar]
        if one.second_writes:
            missed.append(f"an apply without changes made {one.second_writes} writing calls")
        if (writes := max(*one.edit_writes, self.user.edit_writes)) > EDIT_WRITES:
            missed.append(f"one user's change of time made {writes} writing calls, more than {EDIT_WRITES}")
        if self.user.ratio > SHARE_OF_PLAIN:
            missed.append(f"layout user took {self.user.ratio:.2f} of plain Prefect's time, more than {SHARE_OF_PLAIN}")
        return missed

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        user = asdict(self.user) | {"ratio": self.user.ratio}
        return {
            "prefect_database": self.prefect_database,
            "cohort": asdict(self.cohort),
            "user": user,
            "load": self.load,
            "misses": self.misses,
        }

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, as people read them."""
        one, user = self.cohort, self.user
        edits = ", ".join(map(str, one.edit_writes))
        return [
            ("users / zones / patterns of days", f"{one.users} / {one.zones} / {one.patterns}"),
            ("cohorts / GDA_MAX_COHORTS / deployments", f"{one.cohorts} / {one.max_cohorts} / {one.deployments}"),
            ("first plan and apply", f"{one.first_seconds:.1f} s"),
            ("plan in a process of its own, after imports", f"{one.plan_seconds:.2f} s"),
            ("  the busiest minutes of the week", f"{one.capacity_seconds:.2f} s"),
            ("  imports before", f"{one.import_seconds:.2f} s"),
            ("  most memory of that process", f"{one.plan_mebibytes:.0f} MiB"),
            ("second plan and apply, nothing changed", f"{one.second_seconds:.2f} s"),
            ("  writing calls to Prefect", f"{one.second_writes}"),
            ("one user's edit: writing calls to Prefect", edits),
            ("  seconds of such a plan and apply", f"{one.edit_seconds:.2f} s"),
            (f"layout user: {user.users} users, plan and apply", f"{user.apply_seconds:.1f} s"),
            (f"plain Prefect: {user.users} deployments in a loop", f"{user.plain_seconds:.1f} s"),
            ("  GDA's share of that", f"{user.ratio:.2f}"),
            ("  writing calls to Prefect for one user's edit", f"{user.edit_writes}"),
            ("Prefect's database", self.prefect_database),
            ("load of the machine, its cores", f"{self.load:.1f}, {os.cpu_count()}"),
        ]


async def measure(*, users: int, deployed: int, database: str | None, say: Say) -> Figures:
    """Measure both layouts, each on a Prefect server of its own.

    Args:
        users: in layout ``cohort``.
        deployed: users in layout ``user``, and deployments of plain Prefect's loop.
        database: where Prefect keeps its data, one of ``bench.prefect_database.CHOICES``; the best there is when None.
        say: told what is going on.
    """
    with TemporaryDirectory(prefix="gda-bench-") as text:
        folder = Path(text)
        async with prefect_database(database) as prefect:
            say(f"Prefect's database is {prefect.name}")
            async with _server(folder / "one", prefect) as server:
                cohort = await _cohorts(server, folder / "cohort", users, say)
            async with _server(folder / "two", prefect) as server:
                user = await _users(server, folder / "user", deployed, say)
    return Figures(cohort, user, prefect.name, os.getloadavg()[0])


@asynccontextmanager
async def _server(home: Path, database: PrefectDatabase) -> AsyncIterator[PrefectServer]:
    url = await database.empty()
    async with running_prefect_server(home, database_url=url, **SERVER_ENVIRONMENT) as server:
        yield server


async def _cohorts(server: PrefectServer, folder: Path, users: int, say: Say) -> Cohorts:
    settings = _settings(folder, "cohort")
    database = open_database(settings.database)
    load_kinds()
    try:
        await upgrade(database)
        store = make_store(database, settings)
        say(f"making {users} users")
        await settle(store, crowd(users))
        async with counting_client(server.api_url) as (client, calls):
            await apply_system(client, settings, find_file())
            say("first apply")
            first = await applied(store, client, calls, settings)
            say("second apply, and a plan in a process of its own")
            second = await applied(store, client, calls, settings)
            alone = await _plan_alone(server, settings)
            say("a user changes the time")
            edits = [edit async for edit in _edits(store, client, calls, settings)]
            return Cohorts(
                users=users,
                zones=len(ZONES),
                patterns=len(PATTERNS),
                cohorts=alone["cohorts"],
                max_cohorts=settings.max_cohorts,
                deployments=len(first.plan.create),
                first_seconds=first.seconds,
                **{name: alone[name] for name in ("import_seconds", "plan_seconds", "capacity_seconds", "busiest")},
                plan_mebibytes=alone["peak_mebibytes"],
                second_seconds=second.seconds,
                second_writes=len(second.writes),
                edit_writes=tuple(len(edit.writes) for edit in edits),
                edit_seconds=max(edit.seconds for edit in edits),
            )
    finally:
        await database.close()


async def _edits(store: Store, client: PrefectClient, calls: Calls, settings: Settings) -> AsyncIterator[Applied]:
    """Plans and applies after one user's change: to a time that has a deployment, and to one that nobody has."""
    there = next(one for one in await read_existing(client) if "expression" in one.spec.parameters)
    for expression in (there.spec.parameters["expression"], "monthly 3 04:17"):
        await store.schedules.set(Wish("u1", KIND, expression))
        yield await applied(store, client, calls, settings)


async def _plan_alone(server: PrefectServer, settings: Settings) -> dict[str, Any]:
    environment = server.environment(GDA_HOME=str(settings.home), GDA_LAYOUT=settings.layout)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.plan_alone"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the plan's process ended with {process.returncode}")
    answer: dict[str, Any] = json.loads(output)
    return answer


async def _users(server: PrefectServer, folder: Path, users: int, say: Say) -> Users:
    settings = _settings(folder, "user")
    people = crowd(users)
    database = open_database(settings.database)
    try:
        await upgrade(database)
        store = make_store(database, settings)
        await settle(store, people)
        async with counting_client(server.api_url) as (client, calls):
            await apply_system(client, settings, find_file())
            say(f"plain Prefect: {users} deployments in a loop")
            plain = await deploy_plainly(people, settings.prefect_pool)
            await remove_all(client)
            say(f"GDA: {users} deployments, layout user")
            ours = await applied(store, client, calls, settings)
            if len(ours.plan.create) != users:
                raise RuntimeError(f"{len(ours.plan.create)} deployments were made for {users} users")
            await store.schedules.set(Wish("u1", KIND, "monthly 3 04:17"))
            edit = await applied(store, client, calls, settings)
            return Users(users, ours.seconds, plain, len(edit.writes))
    finally:
        await database.close()


def _settings(folder: Path, layout: Layout) -> Settings:
    folder.mkdir()
    url = SecretStr(f"sqlite+aiosqlite:///{folder}/gda.db")
    return Settings(home=folder, database_url=url, layout=layout, digest_drain_enabled=False)
