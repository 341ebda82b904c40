"""The operator's own schedules, which belong to no user, said as sentences::

    from gda.operator import at, every, save, schedule

    await save(store.schedules, load_registry(), [
        schedule("nightly", "daily 03:00", clean_up),
        every(5).minutes.do(ping),
        every().monday.at("09:00", tz="Europe/Berlin").do(report, payload={"weeks": 1}),
        at("2026-12-24T18:00", tz="Europe/Berlin").do(greet),
    ])

Nothing is stored before ``save``. `gda apply` then makes one deployment of each kind, ``run-job/operator KIND``, whose
Prefect schedules bear these names. `gda schedule list` shows them; `gda schedule set --system` writes them too.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gda.enqueue import checked_payload
from gda.errors import UsageError
from gda.schedule import Appointment, Schedule, every
from gda.store import Schedule as StoredSchedule
from gda.store import Schedules, Wish

if TYPE_CHECKING:
    from gda.job import JobType
    from gda.registry import Registry

__all__ = ["Appointment", "at", "every", "save", "schedule"]


def schedule(
    name: str, expression: str, job: "str | JobType", *, tz: str = "UTC", payload: Mapping[str, Any] | None = None
) -> Appointment:
    """A job at an expression's times.

    Args:
        name: tells several schedules of one kind apart.
        expression: as in ``gda.schedule.parse``; seconds are read (``every 30 seconds``, six fields, seconds first).
        job: a job type, or its kind.
        tz: IANA name.
        payload: what each job carries, as the kind's model says.

    Raises:
        InvalidSchedule: expression or timezone break a rule.
    """
    return Schedule.parse(expression, tz=tz, seconds=True).do(job, name=name, payload=payload)


def at(time: str | datetime, *, tz: str = "UTC") -> Schedule:
    """Once: ``at("2026-12-24T18:00", tz="Europe/Berlin").do(job)``; an aware datetime says its own time.

    Raises:
        InvalidSchedule: it is no date and time to the minute, or the timezone is unknown.
    """
    if isinstance(time, datetime) and time.tzinfo is not None:
        return Schedule.once(time.astimezone(UTC).replace(tzinfo=None))
    return Schedule.once(time, tz=tz)


async def save(schedules: Schedules, registry: "Registry", appointments: Sequence[Appointment]) -> list[StoredSchedule]:
    """Store schedules; one that is there already under kind and name is changed, and equal ones stay as they are.

    Args:
        schedules: where they are written, ``store.schedules``.
        registry: knows the kinds.
        appointments: what shall be done when.

    Returns:
        The stored schedules, in the same order.

    Raises:
        UnknownKind: a kind is not registered.
        UsageError: a payload does not fit its kind, or two appointments of one kind have one name.
        AlreadyExists: the kind has an equal schedule under another name.
    """
    wishes = [_wish(one, registry) for one in appointments]
    _refuse_namesakes(wishes)
    return [await schedules.set(wish) for wish in wishes]


def _wish(appointment: Appointment, registry: "Registry") -> Wish:
    job_type = registry.get(appointment.kind)
    payload = checked_payload(appointment.payload, job_type)
    return Wish(
        None,
        job_type.kind,
        str(appointment.schedule.expression),
        timezone=appointment.schedule.timezone,
        name=appointment.name,
        settings={} if payload is None else {"payload": payload},
    )


def _refuse_namesakes(wishes: Sequence[Wish]) -> None:
    seen: set[tuple[str, str]] = set()
    for wish in wishes:
        if (wish.kind, wish.name) in seen:
            raise UsageError(
                f"two schedules of kind {wish.kind} are named {wish.name!r}: give one of them a name of its own, "
                "such as .do(job, name='evening')"
            )
        seen.add((wish.kind, wish.name))
