"""Schedules for people: one English line, and a preview that shows what clock changes do before anything is saved."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from gda.schedule.cron import LAST, Cron
from gda.schedule.expression import Every, Expression, Once
from gda.schedule.fields import EVERY_WEEKDAY, MONTH
from gda.schedule.slots import DueSlot, cronsim_line, next_slots, parse_slot
from gda.schedule.zone import FOLD, GAP, MISSING_DAY, zone

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One coming slot: its name, its instant in local time and in UTC (ISO 8601), and what a clock change does."""

    slot: str
    local: str
    utc: str
    note: str


def describe(expression: Expression, tz: str | ZoneInfo) -> str:
    """The schedule in one English phrase, such as ``every weekday at 07:30 Europe/Berlin``."""
    place = str(zone(tz))
    match expression:
        case Every():
            return f"{expression}, counted in UTC"
        case Once():
            day = f"{_WEEKDAYS[expression.at.isoweekday() % 7]} {_day_text(expression.at)} {expression.at.year}"
            return f"once, on {day} at {expression.at:%H:%M} {place}"
        case Cron():
            return f"{_describe_cron(expression)} {place}"


def preview(expression: Expression, tz: str | ZoneInfo, after: datetime, n: int) -> list[PreviewRow]:
    """The next ``n`` slots after an aware instant, each with its offset and a note where a clock change touches it."""
    place = zone(tz)
    return [_row(due, place) for due in next_slots(expression, place, after, n)]


def _describe_cron(cron: Cron) -> str:
    word, _, rest = str(cron).partition(" ")
    time = rest.rpartition(" ")[2]
    match word:
        case "daily":
            return f"every day at {time}"
        case "weekdays":
            return f"every weekday at {time}"
        case "weekly":
            return f"every {_and([_WEEKDAYS[day] for day in _monday_first(cron.weekdays)])} at {time}"
        case "monthly":
            return f"{_describe_days(cron)} at {time}"
    return _explain(cron)


def _describe_days(cron: Cron) -> str:
    if cron.days == (LAST,):
        return "on the last day of every month"
    days = f"on day{'s' if len(cron.days) > 1 else ''} {_and([str(day) for day in cron.days])} of every month"
    return f"{days} (where the month has it)" if max(cron.days) > 28 else days


def _explain(cron: Cron) -> str:
    # cronsim says 'and' for both readings of two day fields, so the weekdays are added here.
    from cronsim import CronSim

    plain = replace(cron, weekdays=EVERY_WEEKDAY) if cron.days_and_weekdays else cron
    line = cronsim_line(plain).removeprefix("0 ")
    text = CronSim(line, datetime.min).explain()  # noqa: DTZ901 (only the words are wanted)
    if cron.days_and_weekdays:
        days = _and([_WEEKDAYS[day] for day in _monday_first(cron.weekdays)], "or")
        text += f", or on any {days}" if cron.either else f", if that is a {days}"
    return text[0].lower() + text[1:]


def _monday_first(weekdays: Sequence[int]) -> list[int]:
    return sorted(weekdays, key=lambda day: (day - 1) % 7)


def _and(words: list[str], conjunction: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def _day_text(moment: datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - MONTH.low]}"


def _row(due: DueSlot, place: ZoneInfo) -> PreviewRow:
    local = due.due_at.astimezone(place)
    return PreviewRow(due.slot, local.isoformat(), due.due_at.isoformat().replace("+00:00", "Z"), _note(due, local))


def _note(due: DueSlot, local: datetime) -> str:
    nominal = parse_slot(due.slot)
    runs = f"runs {local:%H:%M}" if local.date() == nominal.date() else f"runs {local:%H:%M} on {_day_text(local)}"
    if due.merged_into is not None:
        runs = f"merged into {due.merged_into}, which runs once"
    time, day = f"{nominal:%H:%M}", _day_text(nominal)
    return {
        GAP: f"{time} does not exist on {day}: {runs}",
        FOLD: f"{time} happens twice on {day}: runs the first time",
        MISSING_DAY: f"{day} {nominal.year} does not exist: {runs}",
    }.get(due.note, "")
