"""Enqueue work without a schedule: now, at a time, or after a delay; performed by drain runs.

This is where programs enqueue::

    from gda.enqueue import NewJob, enqueue
    from gda.glue.drains import ensure_drain

    await enqueue(store.queue, load_registry(), settings, NewJob("invoice-reminder", {"invoice": 7}))
    await ensure_drain("invoice-reminder")  # or wait for the sweep, which asks within a minute

``gda.enqueue`` names all that goes in and comes out: NewJob, Unique, OnConflict, Enqueued.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gda.errors import UsageError
from gda.settings import Settings
from gda.store.promises import Waker
from gda.store.queue import Enqueued, Item, OnConflict, Queue, Unique

if TYPE_CHECKING:
    from gda.job import JobType
    from gda.registry import Registry

__all__ = ["Enqueued", "NewJob", "OnConflict", "Unique", "enqueue", "enqueue_many"]

BY_PROGRAM = Waker("enqueue")
QUEUES = ("critical", "default", "bulk")


@dataclass(frozen=True, slots=True)
class NewJob:
    """One piece of work of ``kind``; what is None or empty is what its job type says.

    ``at`` is an aware instant, ``delay`` counts from now by the store's clock; a higher ``priority`` goes first.
    """

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    user_id: str | None = None
    at: datetime | None = None
    delay: timedelta | None = None
    queue: str | None = None
    priority: int = 0
    unique: Unique | None = None
    timeout: timedelta | None = None
    max_attempts: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


async def enqueue(
    queue: Queue,
    registry: "Registry",
    settings: Settings,
    job: NewJob,
    *,
    waker: Waker = BY_PROGRAM,
    dry_run: bool = False,
) -> Enqueued:
    """Enqueue one job; as :func:`enqueue_many`."""
    [result] = await enqueue_many(queue, registry, settings, [job], waker=waker, dry_run=dry_run)
    return result


async def enqueue_many(
    queue: Queue,
    registry: "Registry",
    settings: Settings,
    jobs: Sequence[NewJob],
    *,
    waker: Waker = BY_PROGRAM,
    dry_run: bool = False,
) -> list[Enqueued]:
    """Enqueue all of ``jobs`` in one transaction, or none; then tell the kinds' ``on_enqueue`` hooks of the new ones.

    Args:
        queue: where they are written, ``store.queue``.
        registry: knows their kinds.
        settings: what kinds leave open, and how long rows are kept.
        jobs: what to do.
        waker: who asks, for the record.
        dry_run: answer as if, and write nothing; no hook hears of it.

    Returns:
        What became of each, in the same order.

    Raises:
        UsageError: a value breaks a rule (UnknownKind, UnknownUser where it is one); nothing was written.
        AlreadyExists: a unique key is taken and its policy is reject; nothing was written.
    """
    job_types = [registry.get(job.kind) for job in jobs]
    items = [_item(job, job_type, settings) for job, job_type in zip(jobs, job_types, strict=True)]
    for job_type in () if dry_run else dict.fromkeys(job_types):
        await queue.adopt(job_type.kind, job_type.aliases)
    results = await queue.add(items, waker, dry_run=dry_run)
    if not dry_run:
        for kind, job_type in {each.kind: each for each in job_types}.items():
            made = zip(results, items, strict=True)
            new = [result.occurrence_id for result, item in made if item.kind == kind and result.what == "new"]
            await job_type.hooks.enqueued(kind, new)
    return results


def _item(job: NewJob, job_type: "JobType", settings: Settings) -> Item:
    _check(job, settings)
    timeout = job.timeout or job_type.timeout_under(settings)
    return Item(
        kind=job_type.kind,
        payload=checked_payload(job.payload, job_type),
        user_id=job.user_id,
        queue=_queue(job.queue or job_type.queue),
        priority=job.priority,
        timeout_seconds=round(timeout.total_seconds()),
        max_attempts=job.max_attempts or job_type.retry_under(settings).attempts,
        metadata=dict(job.metadata) or None,
        at=job.at,
        delay=job.delay or timedelta(0),
        unique=job.unique,
    )


def _check(job: NewJob, settings: Settings) -> None:
    if job.at is not None and job.delay is not None:
        raise UsageError("an instant and a delay were given: give one of them")
    if job.at is not None and job.at.tzinfo is None:
        raise UsageError(f"{job.at.isoformat()} has no timezone: add one, such as Z or +02:00")
    if job.delay is not None and job.delay < timedelta(0):
        raise UsageError(f"a delay of {job.delay} is in the past: give none, or a positive one")
    if job.timeout is not None and job.timeout < timedelta(seconds=1):
        raise UsageError(f"a timeout of {job.timeout} is too short: give 1 s or more")
    if job.max_attempts is not None and job.max_attempts < 1:
        raise UsageError(f"{job.max_attempts} attempts are too few: give 1 or more")
    kept = timedelta(days=settings.retention_days)
    if job.unique and job.unique.period and job.unique.period > kept:
        raise UsageError(
            f"a unique key's period of {job.unique.period} outlives the rows it counts, which are kept for "
            f"{settings.retention_days} days: shorten it, or raise GDA_RETENTION_DAYS"
        )


def _queue(name: str) -> str:
    if name not in QUEUES:
        raise UsageError(f"queue {name!r} does not exist: choose one of {', '.join(QUEUES)}")
    return name


def checked_payload(payload: Mapping[str, Any], job_type: "JobType") -> dict[str, Any] | None:
    """A payload as JSON values, checked against the kind's model; None where the kind has none. Raises UsageError."""
    if job_type.payload is None:
        if payload:
            raise UsageError(f"kind {job_type.kind} takes no payload: leave it out")
        return None
    try:
        return job_type.payload.model_validate(dict(payload)).model_dump(mode="json")
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'payload'}: {one['type']}" for one in error.errors(include_input=False)
        )
        raise UsageError(f"the payload does not fit kind {job_type.kind} ({problems})") from None
