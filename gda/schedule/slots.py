"""The oracle: which slots a schedule has, what they are called and when they are due.

Cron lines are walked by cronsim in plain local time, which knows no gaps, so that every nominal slot appears exactly
once; the zone then says when each is due. cronsim's own zone handling is not used: measured, 2.8 moves 02:30 to 03:00
in a gap, and drops the slots there of a line whose minute or hour begins with a star. croniter 7 is asked in tests only
(tests/oracle): it reads ``a-a`` as the whole field, and in a zone runs a repeated time twice and a missing one early.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from gda.errors import InvalidSchedule
from gda.schedule.cron import LAST, Cron
from gda.schedule.expression import Every, Expression, Once
from gda.schedule.fields import DAY, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, format_field
from gda.schedule.zone import GAP, MISSING_DAY, Resolved, resolve, zone

_TICK = timedelta(microseconds=1)
_WIDEST_GAP = timedelta(days=1)  # Samoa lost 30 December 2011, Kwajalein 21 August 1993, Manila 31 December 1844.
_FIRST = datetime(1800, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9900
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DueSlot:
    """A nominal slot and the instant it is due (aware, UTC).

    ``note``: empty, ``gap``, ``fold`` or ``missing-day`` (see zone.resolve). ``merged_into``: the later slot due at the
    same instant, which runs in its place; else None.
    """

    slot: str
    due_at: datetime
    note: str = ""
    merged_into: str | None = None


def slot_name(local: datetime) -> str:
    """The name of a nominal local time (naive): ``2026-03-08T02:30``, with seconds only where there are any."""
    return local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")


def parse_slot(text: str) -> datetime:
    """Read a slot's name into naive local time; raise InvalidSchedule where it is none."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?", text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    advice = "write it as 2026-03-08T02:30, without an offset"
    raise InvalidSchedule(f"slot {text[:40]!a} is no local date and time: {advice}")


def slots_between(expression: Expression, tz: str | ZoneInfo, after: datetime, until: datetime) -> Iterator[DueSlot]:
    """Every slot with ``after < due_at <= until`` (aware), in due order; of those due together the last runs."""
    end = _aware(until)
    return takewhile(lambda due: due.due_at <= end, slots_after(expression, tz, after))


def slots_after(expression: Expression, tz: str | ZoneInfo, after: datetime) -> Iterator[DueSlot]:
    """Every slot with ``after < due_at`` in due order, lazily and without end (``once``: at most one)."""
    start = max(_aware(after), _FIRST)
    match expression:
        case Every():
            return _every_after(expression, start)
        case Once():
            return (due for due in [_due(expression.at, resolve(expression.at, tz))] if due.due_at > start)
        case Cron():
            return _cron_after(expression, zone(tz), start)


def next_slots(expression: Expression, tz: str | ZoneInfo, after: datetime, n: int) -> list[DueSlot]:
    """The next ``n`` slots due after an aware instant; fewer where the schedule ends."""
    return list(islice(slots_after(expression, tz, after), n))


def first_after(expression: Expression, tz: str | ZoneInfo, after: datetime) -> DueSlot | None:
    """The first slot due after an aware instant, or None where there is none."""
    return next(slots_after(expression, tz, after), None)


def latest_slot(expression: Expression, tz: str | ZoneInfo, now: datetime) -> DueSlot | None:
    """The latest slot with ``due_at <= now`` (aware), however long ago; None where there is none yet."""
    end = _aware(now)
    match expression:
        case Every():
            return _every_at((end - _EPOCH) // expression.period, expression)
        case Once():
            due = _due(expression.at, resolve(expression.at, tz))
            return due if due.due_at <= end else None
        case Cron():
            anchor = _some_slot_by(expression, zone(tz), end)
    if anchor is None:
        return None
    # A slot in a gap may be due later than one with a later name, so what follows the one found is looked at as well.
    *_, last = slots_between(expression, tz, anchor - _TICK, end)
    return last


def slot_at(expression: Expression, tz: str | ZoneInfo, name: str) -> DueSlot | None:
    """The slot of that name, or None where the schedule has none (or the text is no slot's name at all)."""
    try:
        due_at = resolve(parse_slot(name), "UTC" if isinstance(expression, Every) else tz).instant
    except InvalidSchedule:
        return None
    due = slots_between(expression, tz, due_at - _TICK, due_at)
    return next((slot for slot in due if slot.slot == name), None)


def day_count(cron: Cron, first: date, last: date) -> int:
    """How many of the nominal days from ``first`` up to but not including ``last`` hold slots."""
    walker = _walker(cron)
    days = (date.fromordinal(number) for number in range(first.toordinal(), last.toordinal()))
    return sum(day.month in cron.months and walker.match_day(day) for day in days)


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no timezone: GDA's instants are aware")
    return moment.astimezone(UTC)


def _due(local: datetime, resolved: Resolved, merged_into: str | None = None) -> DueSlot:
    return DueSlot(slot_name(local), resolved.instant, resolved.note, merged_into)


def _every_after(every: Every, after: datetime) -> Iterator[DueSlot]:
    index = (after - _EPOCH) // every.period + 1
    while (due := _every_at(index, every)).due_at.year < _LAST_YEAR:
        yield due
        index += 1


def _every_at(index: int, every: Every) -> DueSlot:
    due_at = _EPOCH + index * every.period
    return DueSlot(slot_name(due_at), due_at)


def _cron_after(cron: Cron, place: ZoneInfo, after: datetime) -> Iterator[DueSlot]:
    """Walk local times and put the slots of a gap, which are due after later names, where they are due."""
    waiting: list[DueSlot] = []
    start = after.replace(tzinfo=None) + min(_offsets(after, place))
    for local in _walk(cron, start):
        due = _due(local, resolve(local, place))
        if due.note in (GAP, MISSING_DAY):
            waiting.append(due)
            continue
        while waiting and waiting[0].due_at <= due.due_at:
            early = waiting.pop(0)
            if early.due_at > after:
                yield replace(early, merged_into=due.slot) if early.due_at == due.due_at else early
        if due.due_at > after:
            yield due
    yield from waiting


def _some_slot_by(cron: Cron, place: ZoneInfo, now: datetime) -> datetime | None:
    start = now.astimezone(place).replace(tzinfo=None) + timedelta(seconds=1)
    for local in _walk(cron, start, backwards=True):
        due_at = resolve(local, place).instant
        if due_at <= now:
            return due_at
    return None


def _offsets(moment: datetime, place: ZoneInfo) -> tuple[timedelta, timedelta]:
    """The zone's offset at an instant and the widest gap before it: a change between them leaves both in play."""
    earlier = (moment - _WIDEST_GAP).astimezone(place).utcoffset()
    return moment.astimezone(place).utcoffset() or timedelta(), earlier or timedelta()


def _walk(cron: Cron, start: datetime, *, backwards: bool = False) -> Iterator[datetime]:
    """Nominal local times strictly after (or before) ``start``, forwards (or backwards)."""
    walker = copy.copy(_walker(cron))
    walker.dt = start.replace(microsecond=0)
    walker.tick_direction = -1 if backwards else 1
    return takewhile(lambda local: local.year < _LAST_YEAR, walker)


@lru_cache(maxsize=4096)
def _walker(cron: Cron) -> CronSim:
    walker = CronSim(cronsim_line(cron), datetime.min)  # noqa: DTZ901 (walked in local time, on purpose without a zone)
    # By Debian's star rule cronsim takes '*/2 * 5' as 'and'; here the line's own any/all decides.
    walker.day_and = not cron.either
    return walker


def cronsim_line(cron: Cron) -> str:
    """The line as cronsim reads it: seconds first, the last Friday spelled 5L."""
    second, minute, hour, day, month, weekday = (
        format_field(kind, values, star_steps=False)
        for kind, values in (
            (SECOND, cron.seconds), (MINUTE, cron.minutes), (HOUR, cron.hours),
            (DAY, cron.days), (MONTH, cron.months), (WEEKDAY, cron.weekdays),
        )
    )  # fmt: skip
    if cron.nth:
        weekday = f"{weekday}L" if cron.nth == LAST else f"{weekday}#{cron.nth}"
    return f"{second} {minute} {hour} {'L' if cron.days == (LAST,) else day} {month} {weekday}"
