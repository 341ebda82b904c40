"""The work pools and queues that GDA's deployments name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gda.glue.queues import LINES
from gda.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

WORKER_TYPE = "process"
SYSTEM_SUFFIX = "-system"
SYSTEM_AT_ONCE = 1
"""Flow runs that a worker of the system pool begins at once: a second sweep could only say that it does not lead."""


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A work queue; the lowest priority number is served first.

    ``limit`` of its runs are under way at once (None: as many as there are places, or as a person set in Prefect).
    """

    name: str
    priority: int
    description: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """A work pool of the process type.

    ``limit`` flow runs run at once in the pool (None: Prefect counts nothing), ``at_once`` in one worker of ours.
    """

    name: str
    description: str
    limit: int | None
    at_once: int
    queues: tuple[QueueSpec, ...] = ()


_LINES = tuple(
    QueueSpec(name, number, "The runs of this drain's schedule, one at a time.", limit=1)
    for number, name in enumerate(LINES, start=1)
)
QUEUES = (
    *_LINES,
    QueueSpec("critical", len(_LINES) + 1, "Served before all others, but for the schedules of drains."),
    QueueSpec("default", len(_LINES) + 2, "Users' schedules, and drains that were asked for."),
    QueueSpec("bulk", len(_LINES) + 3, "Floods that may wait."),
)


def pool_specs(settings: Settings) -> tuple[PoolSpec, ...]:
    """The pool of all work with its queues, and the pool of the sweep, which a clogged first one cannot starve.

    The second has no limit in Prefect: a run whose worker went away counts there until the sweep closes it, so lost
    runs would stop the very sweep that closes them. Its workers begin one at a time instead, which a lost run cannot
    hold, and of several workers' sweeps the lease in the ledger lets one work.
    """
    name, limit = settings.prefect_pool, settings.prefect_pool_limit
    system = "GDA: the sweep, with a worker of its own."
    return (
        PoolSpec(name, "GDA: users' work, and the system jobs but the sweep.", limit, limit, QUEUES),
        PoolSpec(f"{name}{SYSTEM_SUFFIX}", system, None, SYSTEM_AT_ONCE),
    )


async def ensure_pool(client: "PrefectClient", spec: PoolSpec) -> bool:
    """Make the pool and its queues, or bring limit and priorities in line; what else a person set there stays.

    Returns:
        Whether anything was written.
    """
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    written = True
    try:
        pool = await client.read_work_pool(spec.name)
        written = pool.concurrency_limit != spec.limit
        if written:
            await client.update_work_pool(spec.name, WorkPoolUpdate(concurrency_limit=spec.limit))
    except ObjectNotFound:
        await client.create_work_pool(
            WorkPoolCreate(
                name=spec.name,
                type=WORKER_TYPE,
                description=spec.description,
                concurrency_limit=spec.limit,
                base_job_template=ProcessWorker.get_default_base_job_template(),
            ),
            overwrite=False,
        )
    # In order of priority: a new queue pushes those at or below its priority down.
    for queue in spec.queues:
        written |= await _ensure_queue(client, spec.name, queue)
    return written


async def _ensure_queue(client: "PrefectClient", pool: str, spec: QueueSpec) -> bool:
    there = {queue.name: queue for queue in await client.read_work_queues(work_pool_name=pool)}
    found = there.get(spec.name)
    if found is None:
        await client.create_work_queue(
            spec.name,
            description=spec.description,
            priority=spec.priority,
            concurrency_limit=spec.limit,
            work_pool_name=pool,
        )
        return True
    wanted = {"priority": spec.priority} | ({"concurrency_limit": spec.limit} if spec.limit else {})
    if all(getattr(found, name) == value for name, value in wanted.items()):
        return False
    await client.update_work_queue(found.id, **wanted)
    return True
