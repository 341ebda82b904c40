"""The digest flow called as a Python function: Prefect records it, the environment tells it where everything is."""

import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from pydantic import SecretStr

from flows.digest import deliver_digests
from gda.settings import Settings
from gda.store import ByHand, Scope, Waker
from tests.support.household import Household, a_household
from tests.support.prefect_server import PrefectServer
from tests.support.town import eventually


@dataclass(frozen=True, slots=True)
class Ran:
    """One flow run that has ended, with its task runs by name."""

    state: State[Any]
    run: FlowRun
    tasks: dict[str, TaskRun]

    def task_states(self) -> dict[str, str]:
        """The name of each task run's state."""
        return {name: task.state.name or "" for name, task in self.tasks.items() if task.state}


@dataclass(frozen=True, slots=True)
class Scene:
    """A household whose digests are delivered by flow runs."""

    house: Household
    client: PrefectClient
    results: Path

    async def ran(self, *, tasks: int = 1, **parameters: Any) -> Ran:
        """Call the flow, and wait until Prefect, which records task runs a little later, knows ``tasks`` endings."""
        state: State[Any] = await deliver_digests(**parameters, return_state=True)
        assert state.state_details.flow_run_id is not None
        run = await self.client.read_flow_run(state.state_details.flow_run_id)
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))

        async def recorded() -> list[TaskRun] | None:
            found = await self.client.read_task_runs(flow_run_filter=wanted)
            ended = [task for task in found if task.state and task.state.is_final()]
            return found if len(ended) == len(found) == tasks else None

        found = await eventually(recorded, f"{tasks} task runs of {run.name} are recorded") if tasks else []
        return Ran(state, run, {task.name: task for task in found})

    async def owed(self, *users: str) -> None:
        """Let the users' latest slots be due and unserved."""
        for user in users:
            await self.house.store.ledger.promise_by_hand(Scope("digest", user_id=user), ByHand(), Waker("hand"))


def environment_of(settings: Settings) -> dict[str, str]:
    """The ``GDA_*`` variables that give these settings again."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        f"GDA_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
    }


@asynccontextmanager
async def prefect_within_this_process() -> AsyncIterator[None]:
    """Let the engine of flow runs leave nothing behind: neither threads with unsent records nor open sockets."""
    with warnings.catch_warnings():
        # Prefect 3.8 leaves the clients with which it looks up its default result storage to the garbage collector.
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        try:
            yield
        finally:
            await sent_to_prefect()
            gc.collect()


async def sent_to_prefect() -> None:
    """Wait until this process's logs and events have arrived at the Prefect server, and stop the senders."""
    await APILogHandler.aflush()
    await EventsWorker.drain_all()  # type: ignore[misc]


@asynccontextmanager
async def a_scene(
    server: PrefectServer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *users: str,
    mail: Path | None = None,
    **settings: Any,
) -> AsyncIterator[Scene]:
    """Settle users, and let every flow run in this process find their settings in the environment."""
    results = folder / "results"
    async with (
        a_household(folder, *users, mail=mail, **settings) as house,
        server.client() as client,
        prefect_within_this_process(),
    ):
        for name, value in environment_of(house.settings).items():
            monkeypatch.setenv(name, value)
        with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: results}):
            yield Scene(house, client, results)


async def missed_runs(client: PrefectClient, name: str, spell: timedelta, now: datetime) -> list[FlowRun]:
    """What Prefect's scheduler left of a deployment's time before now, the first first."""
    deployment = await client.read_deployment_by_name(name)
    body = {"start_time": (now - spell).isoformat(), "end_time": now.isoformat(), "min_runs": 1}
    await client.request("POST", cast(Any, f"/deployments/{deployment.id}/schedule"), json=body)
    wanted = {"deployment_id": {"any_": [deployment.id]}, "expected_start_time": {"before_": now}}
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(wanted), sort=FlowRunSort.EXPECTED_START_TIME_ASC
    )
