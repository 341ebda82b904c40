"""In which minutes of a span schedules are due, as numbers, so that the week of 50,000 cohorts is counted in a second.

Nominal days and times are the oracle's (``gda.schedule``); only the step to an instant is taken for a whole local day
at once where the zone's clock does not change on it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from gda.schedule import Cron, Expression, parse_slot, resolve, slots_between, zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ONE = date(1970, 1, 1).toordinal()
_MINUTE = timedelta(minutes=1)
_MARGIN = timedelta(days=3)  # Wider than any zone is from UTC, and than any gap.
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """The instants after ``after`` up to and with ``until``, both aware."""

    after: datetime
    until: datetime


def due_minutes(expression: Expression, timezone: str, span: Span) -> set[int]:
    """The minutes of ``span`` in which ``expression`` is due in ``timezone``, numbered from 1970-01-01T00:00Z."""
    if not isinstance(expression, Cron) or expression.seconds != (0,):
        return {_number(slot.due_at) for slot in slots_between(expression, timezone, span.after, span.until)}
    # Due at full minutes, zones having had no others since 1972, so after the one that has begun.
    first, last = _number(span.after), _number(span.until)
    return {minute for minute in _of_cron(expression, timezone, span) if first < minute <= last}


def minute_at(number: int) -> datetime:
    """The aware UTC instant at which a numbered minute begins."""
    return _EPOCH + number * _MINUTE


def _of_cron(cron: Cron, timezone: str, span: Span) -> Iterator[int]:
    times = [hour * 60 + minute for hour in cron.hours for minute in cron.minutes]
    for day in _days(cron.days, cron.months, cron.weekdays, cron.nth, cron.either, span):
        offset = _steady_offset(timezone, day)
        if offset is None:
            yield from _resolved(day, times, timezone)
        else:
            start = (day - _DAY_ONE) * _DAY_MINUTES - offset
            yield from [start + minute for minute in times]


def _resolved(day: int, times: Iterable[int], timezone: str) -> Iterator[int]:
    midnight = datetime.combine(date.fromordinal(day), time())
    return (_number(resolve(midnight + minute * _MINUTE, timezone).instant) for minute in times)


@lru_cache(maxsize=1024)
def _days(
    days: tuple[int, ...], months: tuple[int, ...], weekdays: tuple[int, ...], nth: int, either: bool, span: Span
) -> tuple[int, ...]:
    midnights = replace(Cron((0,), (0,)), days=days, months=months, weekdays=weekdays, nth=nth, either=either)
    slots = slots_between(midnights, "UTC", span.after - _MARGIN, span.until + _MARGIN)
    return tuple(parse_slot(slot.slot).toordinal() for slot in slots)


@lru_cache(maxsize=16_384)
def _steady_offset(timezone: str, day: int) -> int | None:
    """The zone's minutes ahead of UTC where they are whole and the same all through that local day; else None."""
    place, midnight = zone(timezone), datetime.combine(date.fromordinal(day), time())
    before = midnight.replace(tzinfo=place).utcoffset() or timedelta()
    after = (midnight + timedelta(days=1)).replace(tzinfo=place, fold=1).utcoffset() or timedelta()
    minutes, rest = divmod(before, _MINUTE)
    return minutes if before == after and not rest else None


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // _MINUTE
