"""Asking Prefect for one drain run, so that work which waits is performed soon."""

from collections.abc import Callable
from datetime import UTC, datetime

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from gda.glue.queues import beside
from gda.glue.sweeping import WAITING, read_runs

GENERIC = "run-job/drain"
"""The deployment that performs any kind."""


def _now() -> datetime:
    return datetime.now(UTC)


async def ensure_drain(kind: str, queue: str = "default", *, clock: Callable[[], datetime] = _now) -> bool:
    """Make sure that a drain run of ``kind`` and ``queue`` was asked for in the current minute.

    The kind's own ``<kind>/drain`` is taken where there is one, else ``run-job/drain``. The idempotency key
    ``drain:<kind>:<queue>:<minute>`` (DESIGN 6) lets any number of callers ask: Prefect makes one run of them.

    Args:
        kind: the job type's name.
        queue: which queue's rows wait; a kind's own drain serves all queues.
        clock: tells the minute (aware); only the key depends on it.

    Returns:
        Whether Prefect has such a run now; False when no drain is deployed, so that only a wake-up of another kind
        would perform the work: `gda apply --system` deploys one.
    """
    key = _key(kind, queue, clock())
    async with get_client() as client:
        for name, parameters in ((f"{kind}/drain", {}), (GENERIC, {"kind": kind, "queue": queue})):
            deployment = await _find(client, name)
            if deployment is not None:
                await _ask(client, deployment, parameters, key)
                return True
    return False


async def ensure_stand_in(kind: str, *, clock: Callable[[], datetime] = _now) -> bool:
    """Make sure that a run of the kind's own drain does what the run does that waits for an earlier one in its line.

    The earlier one may take minutes over what it has in hand, or its worker went away and the sweep closes it minutes
    later. Where none waits, as when a person switched the schedule off, or none is before it, nobody stands in.

    Returns:
        Whether Prefect has such a run now.
    """
    now = clock()
    async with get_client() as client:
        deployment = await _find(client, f"{kind}/drain")
        if deployment is None or not await _waits_behind_another(client, deployment, now):
            return False
        await _ask(client, deployment, {}, _key(kind, "stand-in", now))
    return True


async def _waits_behind_another(client: PrefectClient, deployment: DeploymentResponse, now: datetime) -> bool:
    due = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}, "expected_start_time": {"before_": now}}
    runs = await read_runs(client, {"deployment_id": {"any_": [deployment.id]}, **due})
    return {run.state in WAITING for run in runs if run.auto_scheduled} == {True, False}


def _key(kind: str, queue: str, now: datetime) -> str:
    return f"drain:{kind}:{queue}:{now.astimezone(UTC):%Y-%m-%dT%H:%M}"


async def _find(client: PrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


async def _ask(client: PrefectClient, deployment: DeploymentResponse, parameters: dict[str, str], key: str) -> None:
    await client.create_flow_run_from_deployment(
        deployment.id,
        parameters=parameters,
        idempotency_key=key,
        tags=["gda", "drain"],
        work_queue_name=beside(deployment.work_queue_name),
    )
