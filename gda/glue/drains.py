"""Asking Prefect for one drain run, so that work which waits in the ledger is performed soon."""

from collections.abc import Callable
from datetime import UTC, datetime

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound

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
    minute = clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
    async with get_client() as client:
        for name, parameters in ((f"{kind}/drain", {}), (GENERIC, {"kind": kind, "queue": queue})):
            if await _ask(client, name, parameters, f"drain:{kind}:{queue}:{minute}"):
                return True
    return False


async def _ask(client: PrefectClient, name: str, parameters: dict[str, str], key: str) -> bool:
    try:
        deployment = await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return False
    await client.create_flow_run_from_deployment(
        deployment.id, parameters=parameters, idempotency_key=key, tags=["gda", "drain"]
    )
    return True
