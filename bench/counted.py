"""Calls to Prefect's API, counted while they are made, and an apply with its time."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.apply import apply
from deployments.plan import Plan
from deployments.planning import make_plan
from gda.settings import Settings
from gda.store import Store

READS = ("/filter", "/count", "/paginate")
"""What ends the path of a POST that writes nothing."""


@dataclass
class Calls:
    """What went over the wire: ``method path`` of every call that may write, and how many only read."""

    writes: list[str] = field(default_factory=list)
    reads: int = 0

    async def note(self, request: Any) -> None:
        """Count one request; a hook of httpx."""
        if request.method == "GET" or request.url.path.endswith(READS):
            self.reads += 1
        else:
            self.writes.append(f"{request.method} {request.url.path}")

    @contextmanager
    def fresh(self) -> Iterator["Calls"]:
        """Count from nothing in this block."""
        self.writes, self.reads = [], 0
        yield self


@asynccontextmanager
async def counting_client(api_url: str) -> AsyncIterator[tuple[PrefectClient, Calls]]:
    """A Prefect client of the server at ``api_url`` whose calls are counted."""
    calls = Calls()
    with temporary_settings({PREFECT_API_URL: api_url}):
        async with get_client(httpx_settings={"event_hooks": {"request": [calls.note]}}) as client:
            yield client, calls


@dataclass(frozen=True, slots=True)
class Applied:
    """One plan and apply: seconds, the plan, and the calls that may write."""

    plan_seconds: float
    apply_seconds: float
    plan: Plan
    writes: tuple[str, ...]
    reads: int

    @property
    def seconds(self) -> float:
        """Both together, as ``gda apply`` does them."""
        return self.plan_seconds + self.apply_seconds


async def applied(store: Store, client: PrefectClient, calls: Calls, settings: Settings) -> Applied:
    """Plan and apply once, as ``gda apply`` does."""
    with calls.fresh():
        started = time.perf_counter()
        found = await make_plan(store, client, settings)
        planned = time.perf_counter()
        await apply(found, client)
        ended = time.perf_counter()
        return Applied(planned - started, ended - planned, found, tuple(calls.writes), calls.reads)
