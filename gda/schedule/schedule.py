"""Schedules in Python: an expression with its timezone, and the two questions a loop asks of one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from gda.errors import InvalidSchedule
from gda.schedule.cron import Cron
from gda.schedule.expression import Every, Expression, parse
from gda.schedule.slots import first_after, latest_slot
from gda.schedule.text import describe

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is due when: an expression and the timezone whose wall clock it is read by.

    Every spelling of the text has its constructor here, and reads its parts by the same strict grammar. No ceiling of
    runs a day counts (that is a rule for users' stored schedules); the one for local time does.

    Args:
        expression: as ``parse`` returns it.
        timezone: an IANA name; of no matter to ``every``, which counts elapsed time.

    Raises:
        InvalidSchedule: the timezone is no IANA name, or the expression runs more than 24 times a day outside UTC.
    """

    expression: Expression
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        parse(
            str(self.expression),
            seconds=_has_seconds(self.expression),
            max_runs_per_day=None,
            timezone=self.timezone,
        )

    @classmethod
    def parse(cls, text: str, *, tz: str = "UTC", seconds: bool = False) -> Self:
        """The schedule that a text spells (see ``gda.schedule.parse``), in an IANA timezone.

        seconds: an operator's own job: six fields with seconds first, and ``every 30 seconds``, are read too.
        """
        return cls(parse(text, seconds=seconds, max_runs_per_day=None, timezone=tz), tz)

    @classmethod
    def daily(cls, at: str, *, tz: str = "UTC") -> Self:
        """Every day at a local time such as ``07:30``."""
        return cls.parse(f"daily {at}", tz=tz)

    @classmethod
    def weekdays(cls, at: str, *, tz: str = "UTC") -> Self:
        """Monday to Friday at a local time such as ``07:30``."""
        return cls.parse(f"weekdays {at}", tz=tz)

    @classmethod
    def weekly(cls, days: str | Iterable[str], at: str, *, tz: str = "UTC") -> Self:
        """On named days (``mon,thu``, ``mon-fri`` or a list of three-letter names) at a local time."""
        return cls.parse(f"weekly {_listed(days)} {at}", tz=tz)

    @classmethod
    def monthly(cls, days: int | str | Iterable[int], at: str, *, tz: str = "UTC") -> Self:
        """On days of the month (a number, several, or ``last``) at a local time."""
        return cls.parse(f"monthly {days if isinstance(days, int) else _listed(days)} {at}", tz=tz)

    @classmethod
    def cron(cls, line: str, *, tz: str = "UTC", seconds: bool = False) -> Self:
        """A cron line: five fields, or six with seconds *first* where ``seconds`` says so (an operator's own job)."""
        return cls.parse(line, tz=tz, seconds=seconds)

    @classmethod
    def once(cls, at: str | datetime, *, tz: str = "UTC") -> Self:
        """One local date and time to the minute: ``2026-12-24T18:00``, or a naive datetime."""
        if isinstance(at, datetime):
            at = at.isoformat(timespec="auto" if at.second or at.microsecond else "minutes")
        return cls.parse(f"once {at}", tz=tz)

    @classmethod
    def every(cls, period: str | timedelta) -> Self:
        """Elapsed time, counted in UTC from 1970 on: ``15 minutes`` or a timedelta of whole seconds, up to 31 days.

        Raises InvalidSchedule for other periods.
        """
        if isinstance(period, str):
            return cls.parse(f"every {period}")
        if period % _SECOND:
            raise InvalidSchedule(f"schedule 'every {period}' refused: a period is whole seconds; leave the rest out")
        return cls.parse(f"every {period // _SECOND} seconds", seconds=True)

    def do(
        self, job: "str | HasKind", *, name: str = "default", payload: Mapping[str, Any] | None = None
    ) -> "Appointment":
        """Say what is done at these times, for nobody in particular; ``gda.operator.save`` stores it.

        Args:
            job: a job type, or its kind.
            name: tells several schedules of one kind apart.
            payload: what each job carries, as the kind's model says.
        """
        return Appointment(name, job if isinstance(job, str) else job.kind, self, dict(payload or {}))

    def in_timezone(self, tz: str) -> Self:
        """The same expression by another wall clock."""
        return type(self)(self.expression, tz)

    def __str__(self) -> str:
        """What it means, in English; ``str(schedule.expression)`` is the text that parses back."""
        return describe(self.expression, self.timezone)


class HasKind(Protocol):
    """Whatever names a kind, such as a job type."""

    @property
    def kind(self) -> str:
        """The kind's stable name."""
        ...


@dataclass(frozen=True, slots=True)
class Appointment:
    """What an operator wants done when: a kind's job at a schedule's times."""

    name: str
    kind: str
    schedule: Schedule
    payload: Mapping[str, Any] = field(default_factory=dict)


def next_after(schedule: Schedule, after: datetime) -> datetime | None:
    """The first instant (aware, UTC) strictly after an aware one at which something is due; None where it has ended.

    UTC and not local time, because Python holds a local time inside a gap or fold unequal to every other zone's
    (PEP 495). ``first_after`` also gives the slot's name and notes.
    """
    due = first_after(schedule.expression, schedule.timezone, after)
    return due.due_at if due else None


def is_due(schedule: Schedule, last: datetime | None, now: datetime) -> bool:
    """Whether a slot has come by ``now`` that was not there yet at ``last``: ``last < due_at <= now``, all aware.

    last: when the schedule was last served; None for never, and then any slot of the past counts.
    """
    if last is None:
        return latest_slot(schedule.expression, schedule.timezone, now) is not None
    if now.utcoffset() is None:
        raise ValueError(f"{now.isoformat()} has no timezone: GDA's instants are aware")
    coming = next_after(schedule, last)
    return coming is not None and coming <= now


def _has_seconds(expression: Expression) -> bool:
    match expression:
        case Every():
            return expression.seconds % 60 != 0
        case Cron():
            return expression.seconds != (0,)
    return False


def _listed(values: str | Iterable[object]) -> str:
    return values if isinstance(values, str) else ",".join(map(str, values))
