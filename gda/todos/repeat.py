"""How a to-do repeats, and on which days of the calendar: dateutil's rules over the user's local time.

Two readings are GDA's own. ``monthly`` and ``yearly`` keep the day of the first one: the 31st falls on the last day of
a shorter month and on the 31st again after it, 29 February on the 28th in other years; RFC 5545, whose rules are read
to the letter where one is given, leaves such months out. And the first to-do is always the first of its series (RFC
5545, 3.8.5.3: DTSTART counts), whether or not the rule falls on its day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, rrulestr

from gda.errors import UsageError
from gda.schedule import zone

WORDS = ("daily", "weekly", "monthly", "yearly")
MISSED = ("next", "every")
MOST = 9999
_FREQUENCIES = {"daily": DAILY, "weekly": WEEKLY, "monthly": MONTHLY, "yearly": YEARLY}
_STEPS = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1)}
_PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYWEEKNO", "BYYEARDAY")
_HORIZON_YEARS = 60
"""A rule without a date for so long has none any more: 29 February on a given weekday comes at least each 40 years."""
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True)
class Repeat:
    """A series: ``start`` is the first one's nominal local day or time (``2026-01-31`` or ``2026-01-31T09:00``).

    ``rule`` is one of ``WORDS``, or an RFC 5545 rule without its end. ``count`` (of the rule's dates, the first one
    included) or ``until`` (nominal, inclusive) ends it. ``missed``: ``next`` goes on with the next date in the future,
    ``every`` with the next one, even if it is past.
    """

    rule: str
    start: str
    interval: int = 1
    count: int | None = None
    until: str | None = None
    missed: str = "next"


def read_repeat(
    rule: str,
    start: str,
    timezone: str,
    *,
    interval: int | None = None,
    count: int | None = None,
    until: str | None = None,
    missed: str = "next",
) -> Repeat:
    """A recurrence as a person types it.

    Args:
        rule: ``daily``, ``weekly``, ``monthly``, ``yearly``, or an RFC 5545 rule (``FREQ=MONTHLY;BYDAY=-1FR``), whose
            INTERVAL, COUNT and UNTIL may stand in it instead of in the arguments.
        start: the first due date's nominal day or local time.
        timezone: the user's IANA name, for an UNTIL in UTC.
        interval: each so many days, weeks, months or years; 1 when not given.
        count: how many dates in all.
        until: the last day, or local time, that counts.
        missed: ``next`` or ``every``.

    Raises:
        UsageError: a value breaks a rule, or the recurrence never comes.
    """
    parts = {} if rule.lower() in WORDS else _parts(rule)
    given = {"INTERVAL": interval, "COUNT": count, "UNTIL": until}
    for name in (name for name, value in given.items() if value is not None and name in parts):
        raise UsageError(f"{name} stands in the rule {rule!r} and beside it: say it once")
    repeat = Repeat(
        rule=";".join(f"{name}={value}" for name, value in parts.items() if name not in given) or rule.lower(),
        start=start,
        interval=_number("interval", interval if interval is not None else parts.get("INTERVAL", 1)),
        count=_number("count", found) if (found := count if count is not None else parts.get("COUNT")) else None,
        until=_until(until or parts.get("UNTIL"), timezone),
        missed=missed,
    )
    _check(repeat, rule)
    return repeat


def slots(repeat: Repeat, after: str | None = None) -> Iterator[datetime]:
    """The nominal local dates of a series (naive, at midnight for whole days), in order.

    Args:
        repeat: the series.
        after: only those later than this nominal day or time; all when not given.
    """
    first, bound = _moment(repeat.start), _moment(after) if after else None
    end = _last_moment(repeat.until) if repeat.until else datetime.max  # noqa: DTZ901 (nominal, without a zone)
    # Counting needs the series from its beginning; else a daily one of ten years would be walked through each time.
    jump = bound if repeat.count is None else None
    dates = _dates(repeat, first, jump)
    for moment in islice(dates, repeat.count):
        if moment > end:
            return
        if bound is None or moment > bound:
            yield moment


def nominal(moment: datetime, like: str) -> str:
    """The name of a slot: a day where ``like`` (the series' start) is one, else a local time."""
    return (
        moment.date().isoformat()
        if _is_day(like)
        else moment.isoformat(timespec="seconds" if moment.second else "minutes")
    )


def _dates(repeat: Repeat, first: datetime, jump: datetime | None) -> Iterator[datetime]:
    yield first
    begin = _closest(repeat, first, jump)
    for moment in _rule(repeat, begin, jump or first):
        if moment > first:
            yield moment


def _closest(repeat: Repeat, first: datetime, jump: datetime | None) -> datetime:
    step = _STEPS.get(repeat.rule)
    if step is None or jump is None or jump <= first:
        return first
    period = step * repeat.interval
    return first + (jump - first) // period * period


def _rule(repeat: Repeat, begin: datetime, looked_from: datetime) -> rrule:
    horizon = looked_from.replace(year=min(looked_from.year + _HORIZON_YEARS, 9999), day=1)
    frequency = _FREQUENCIES.get(repeat.rule)
    if frequency is None:
        found = rrulestr(f"{repeat.rule};INTERVAL={repeat.interval}", dtstart=begin)
        assert isinstance(found, rrule)
        return found.replace(until=horizon)
    return rrule(frequency, dtstart=begin, interval=repeat.interval, until=horizon, **_day_kept(repeat.rule, begin))


def _day_kept(rule: str, first: datetime) -> dict[str, Any]:
    # The last of those days that a month has: the day of the first one, or the month's last.
    if rule not in ("monthly", "yearly") or first.day <= _SHORTEST_MONTH:
        return {}
    month = {"bymonth": first.month} if rule == "yearly" else {}
    return {"bymonthday": tuple(range(_SHORTEST_MONTH, first.day + 1)), "bysetpos": -1, **month}


def _parts(rule: str) -> dict[str, str]:
    text = rule.strip().upper().removeprefix("RRULE:")
    pairs = [part.partition("=") for part in text.split(";") if part]
    names = [name for name, _, _ in pairs]
    if "FREQ" not in names:
        raise UsageError(
            f"repeat {rule[:60]!r}: say {', '.join(WORDS)}, or an RFC 5545 rule such as FREQ=WEEKLY;BYDAY=MO"
        )
    for name, _, value in pairs:
        if name not in (*_PARTS, "WKST") or not value:
            raise UsageError(f"rule {rule[:60]!r}: {name[:20]!r} is not read here; use {', '.join(_PARTS)} or WKST")
    if len(names) != len(set(names)):
        raise UsageError(f"rule {rule[:60]!r} says a part twice: say it once")
    found = {name: value for name, _, value in pairs}
    if found["FREQ"] not in (word.upper() for word in WORDS):
        raise UsageError(
            f"rule {rule[:60]!r}: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY; the due date says the time of day"
        )
    return found


def _number(name: str, value: int | str) -> int:
    number = int(value) if str(value).isascii() and str(value).isdecimal() else 0
    if not 1 <= number <= MOST:
        raise UsageError(f"{name} {str(value)[:20]!r}: give a number from 1 to {MOST}")
    return number


def _until(text: str | None, timezone: str) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"until {text[:40]!r} is no date: write it as 2026-12-31") from None
    if len(text) in (len("20261231"), len("2026-12-31")):
        return moment.date().isoformat()
    local = moment.astimezone(zone(timezone)) if moment.tzinfo is not None else moment
    return local.replace(tzinfo=None).isoformat(timespec="seconds")


def _check(repeat: Repeat, rule: str) -> None:
    if repeat.missed not in MISSED:
        raise UsageError(f"missed {repeat.missed!r}: choose {' or '.join(MISSED)}")
    if repeat.count is not None and repeat.until is not None:
        raise UsageError("a recurrence ends after a count or on a date: give one of them")
    if repeat.until is not None and _last_moment(repeat.until) < _moment(repeat.start):
        raise UsageError(f"until {repeat.until} lies before the first due date, {repeat.start}")
    try:
        comes = _comes(replace(repeat, count=None, until=None))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise UsageError(f"rule {rule[:60]!r} is no RFC 5545 rule: write such as FREQ=MONTHLY;BYDAY=-1FR") from None
    if not comes:
        raise UsageError(f"rule {rule[:60]!r} never comes after {repeat.start}: check its days and months")


def _comes(repeat: Repeat) -> bool:
    # Walked by years first: dateutil would look at each day up to the year 9999, for ten seconds.
    by_year = replace(repeat, rule=repeat.rule.replace("FREQ=DAILY", "FREQ=YEARLY"), interval=1)
    return all(len(list(islice(slots(one), 2))) > 1 for one in (by_year, repeat))


def _is_day(text: str) -> bool:
    return "T" not in text


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _last_moment(until: str) -> datetime:
    return datetime.combine(date.fromisoformat(until), time.max) if _is_day(until) else _moment(until)
