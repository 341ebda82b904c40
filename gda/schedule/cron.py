"""Cron lines in GDA's strict grammar (DESIGN 5): read from text, written back, translated for Prefect."""

import re
from dataclasses import dataclass

from gda.schedule.fields import (
    DAY,
    EVERY_WEEKDAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    WEEKDAY,
    WEEKDAY_NAMES,
    Refusal,
    format_field,
    parse_field,
)

LAST = -1
"""In ``Cron.days``: the last day of the month. In ``Cron.nth``: the last such weekday of the month."""

_LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_MONDAY_FIRST = (1, 2, 3, 4, 5, 6, 0)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron line as sets of values, so that two spellings of one schedule are equal.

    ``days`` is ``(LAST,)`` for ``L``. ``nth`` is 1 to 5 for ``#``, LAST for the last such weekday, else 0. ``either``
    is true where day-of-month and day-of-week are both restricted and one is enough (``any``); else both must match.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...] = DAY.full
    months: tuple[int, ...] = MONTH.full
    weekdays: tuple[int, ...] = EVERY_WEEKDAY
    nth: int = 0
    either: bool = False
    seconds: tuple[int, ...] = (0,)

    @property
    def form(self) -> str:
        """``cron``: slots are local times on the wall."""
        return "cron"

    @property
    def timezone_fixed(self) -> str | None:
        """None: the schedule's own timezone counts."""
        return None

    @property
    def runs_per_day(self) -> int:
        """The most slots that one nominal day can hold."""
        return len(self.seconds) * len(self.minutes) * len(self.hours)

    @property
    def day_or(self) -> bool:
        """What Prefect's ``CronSchedule(day_or=...)`` must be told."""
        return self.either or not self.days_and_weekdays

    @property
    def crons(self) -> tuple[str, ...]:
        """The lines that make Prefect wake at this schedule's slots, with Prefect's seconds last.

        Prefect 3.9.1's vendored croniter loses 1 March where day-of-month holds 1 together with 30 or 31, so such a
        line becomes two (measured over ten years, of which it lost seven to ten).
        """
        if 1 not in self.days or self.days == DAY.full or not {30, 31} & set(self.days):
            return (self._line(self.days, self.weekdays),)
        # With 'any' the weekdays ride on one of the two lines only, or each weekday would wake twice.
        alone = EVERY_WEEKDAY if self.either else self.weekdays
        rest = tuple(day for day in self.days if day != 1)
        return (self._line((1,), alone), self._line(rest, self.weekdays))

    @property
    def days_and_weekdays(self) -> bool:
        """Whether both day fields are restricted."""
        return self.days != DAY.full and self.weekdays != EVERY_WEEKDAY

    def _line(self, days: tuple[int, ...], weekdays: tuple[int, ...]) -> str:
        # Prefect and croniter read a sixth field as seconds and expect it last; cronsim and Quartz expect it first.
        tail = "" if self.seconds == (0,) else f" {format_field(SECOND, self.seconds)}"
        return f"{self._head()} {_days_text(days)} {self._months_text()} {self._weekdays_text(weekdays)}{tail}"

    def _head(self) -> str:
        return f"{format_field(MINUTE, self.minutes)} {format_field(HOUR, self.hours)}"

    def _months_text(self) -> str:
        return format_field(MONTH, self.months)

    def _weekdays_text(self, weekdays: tuple[int, ...]) -> str:
        # The last Friday is L5 to Prefect and croniter, 5L to cronsim, 6L to Quartz; GDA writes L5.
        if self.nth == LAST:
            return f"L{weekdays[0]}"
        return f"{weekdays[0]}#{self.nth}" if self.nth else format_field(WEEKDAY, weekdays, star_steps=False)

    def __str__(self) -> str:
        worded = self._worded()
        if worded:
            return worded
        head = "" if self.seconds == (0,) else f"{format_field(SECOND, self.seconds)} "
        tail = (" any" if self.either else " all") if self.days_and_weekdays else ""
        line = f"{self._head()} {_days_text(self.days)} {self._months_text()} {self._weekdays_text(self.weekdays)}"
        return f"{head}{line}{tail}"

    def _worded(self) -> str:
        one_time = len(self.minutes) == len(self.hours) == 1 and self.seconds == (0,)
        if not one_time or self.months != MONTH.full or self.nth or self.days_and_weekdays:
            return ""
        time = f"{self.hours[0]:02d}:{self.minutes[0]:02d}"
        if self.days != DAY.full:
            days = "last" if self.days == (LAST,) else ",".join(map(str, self.days))
            return f"monthly {days} {time}"
        if self.weekdays == EVERY_WEEKDAY:
            return f"daily {time}"
        if self.weekdays == (1, 2, 3, 4, 5):
            return f"weekdays {time}"
        names = ",".join(WEEKDAY_NAMES[day] for day in _MONDAY_FIRST if day in self.weekdays)
        return f"weekly {names} {time}"


def parse_cron(text: str, *, seconds: bool = False) -> Cron:
    """Read a lower-case cron line: five fields, or six with seconds first where ``seconds`` says so.

    A line that restricts both day fields ends in ``any`` or ``all``. Raises Refusal, with the reason and what to
    write instead.
    """
    parts = text.split()
    mode = parts.pop() if parts and parts[-1] in ("any", "all") else ""
    _check_count(parts, seconds=seconds)
    second = parse_field(SECOND, parts.pop(0)) if len(parts) == 6 else (0,)
    minutes, hours = parse_field(MINUTE, parts[0]), parse_field(HOUR, parts[1])
    months = parse_field(MONTH, parts[3])
    days = _parse_days(parts[2])
    weekdays, nth = _parse_weekdays(parts[4])
    _check_day_fields(parts[2], parts[4], mode, special=bool(nth) or days == (LAST,))
    days = _possible_days(days, months, parts[2])
    if mode == "any" and (days == DAY.full or weekdays == EVERY_WEEKDAY):
        days, weekdays = DAY.full, EVERY_WEEKDAY
    return Cron(minutes, hours, days, months, weekdays, nth, mode == "any" and days != DAY.full, second)


def _check_count(parts: list[str], *, seconds: bool) -> None:
    if len(parts) == 5 or (len(parts) == 6 and seconds):
        return
    if len(parts) == 6:
        raise Refusal(
            "six fields: engines disagree whether seconds come first or last, and users' schedules have none; "
            f"write five, such as {' '.join(parts[1:])!r} (an operator's own job may use --seconds, seconds first)"
        )
    if len(parts) == 7:
        raise Refusal("seven fields: years are not part of the grammar; write five fields, or 'once 2026-12-24T18:00'")
    raise Refusal(
        f"{len(parts)} fields where a cron line has five (minute hour day-of-month month day-of-week); "
        "write such as '30 7 * * 1-5', or in words 'daily 07:30', 'weekdays 07:30', 'every 15 minutes'"
    )


def _parse_days(text: str) -> tuple[int, ...]:
    return (LAST,) if text == "l" else parse_field(DAY, text)


def _parse_weekdays(text: str) -> tuple[tuple[int, ...], int]:
    day = rf"[0-7]|{'|'.join(WEEKDAY_NAMES)}"
    if numbered := re.fullmatch(rf"({day})#([1-5])", text):
        return parse_field(WEEKDAY, numbered[1]), int(numbered[2])
    if last := re.fullmatch(rf"l({day})|({day})l", text):
        return parse_field(WEEKDAY, last[1] or last[2]), LAST
    if re.fullmatch(rf"({day})#\d+", text):
        raise Refusal(
            f"{text!r} in day-of-week: a month has at most five of one weekday; write {text[:-1]}1 to {text[:-1]}5"
        )
    return parse_field(WEEKDAY, text), 0


def _check_day_fields(days: str, weekdays: str, mode: str, *, special: bool) -> None:
    both = days != "*" and weekdays != "*"
    if both and special:
        # croniter and Prefect find no date at all for '15 * 1#2' and fail on every pass.
        raise Refusal("'L' and '#' stand alone: leave the other day field '*', or make two schedules")
    if both and not mode:
        raise Refusal(
            "day-of-month and day-of-week are both set, which some engines read as 'any' and some as 'all'; "
            "say which by adding 'any' or 'all' at the end, such as '0 9 13 * 5 all' for Friday the 13th"
        )
    if mode and not both:
        raise Refusal(f"{mode!r} is for a line that sets both day-of-month and day-of-week; leave it out")


def _possible_days(days: tuple[int, ...], months: tuple[int, ...], text: str) -> tuple[int, ...]:
    # Also with 'any': Prefect raises on '0 9 31 6 0' (31 June or Sundays) on every pass and the schedule is dead.
    longest = max(_LONGEST_MONTH.get(month, 31) for month in months)
    if min(days) > longest:
        raise Refusal(
            f"day-of-month {text} never comes in the months named, which have at most {longest} days; "
            "write 'L' for the last day of the month"
        )
    # '0 9 1,31 2 *' is '0 9 1 2 *'. Left in, the 31st would get a line of its own for Prefect (see crons), and be dead.
    return days if days == DAY.full else tuple(day for day in days if day <= longest)


def _days_text(days: tuple[int, ...]) -> str:
    return "L" if days == (LAST,) else format_field(DAY, days, star_steps=False)
