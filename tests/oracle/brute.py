"""An oracle of its own: it shares no code with gda.schedule, walks minute by minute, and is slow on purpose.

It reads cron text by its own few lines and learns what clocks on walls show by looking at every minute of UTC.
"""

import calendar
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMES = {name: n for n, name in enumerate(WEEKDAYS)} | {name: n for n, name in enumerate(MONTHS, 1)}


@dataclass(frozen=True)
class Slot:
    """A nominal time, when it is due, and the later nominal time due at the same instant (None: it runs itself)."""

    name: str
    due_at: datetime
    merged_into: str | None


def zone_of(name: str) -> ZoneInfo:
    """The zone out of the tzdata package, whatever the system has."""
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def numbers(text: str, low: int, high: int) -> set[int]:
    """The values of a cron field; ``9-9`` is 9."""
    found: set[int] = set()
    for term in text.lower().split(","):
        span, _, step = term.partition("/")
        first, dash, last = span.partition("-")
        begin = low if first == "*" else _number(first)
        end = _number(last) if dash else high if first == "*" or step else begin
        found.update(value for value in range(begin, end + 1) if (value - begin) % int(step or 1) == 0)
    return found


def _number(text: str) -> int:
    return NAMES[text] if text in NAMES else int(text)


def day_test(text: str) -> Callable[[date], bool]:
    """Whether a cron line (with ``any`` or ``all`` where both day fields are set) runs on a day."""
    _, _, days, months, weekdays, *mode = text.lower().split()
    in_months = numbers(months, 1, 12)
    by_date, by_weekday = _date_test(days), _weekday_test(weekdays)
    if mode == ["any"]:
        return lambda day: day.month in in_months and (by_date(day) or by_weekday(day))
    return lambda day: day.month in in_months and by_date(day) and by_weekday(day)


def _date_test(text: str) -> Callable[[date], bool]:
    if text == "l":
        return lambda day: (day + timedelta(days=1)).day == 1
    days = numbers(text, 1, 31)
    return lambda day: day.day in days


def _weekday_test(text: str) -> Callable[[date], bool]:
    if text.startswith("l"):
        wanted = numbers(text[1:], 0, 6)
        return lambda day: day.isoweekday() % 7 in wanted and (day + timedelta(days=7)).month != day.month
    if "#" in text:
        weekday, _, nth = text.partition("#")
        wanted = numbers(weekday, 0, 6)
        return lambda day: day.isoweekday() % 7 in wanted and (day.day + 6) // 7 == int(nth)
    wanted = {number % 7 for number in numbers(text, 0, 6)}
    return lambda day: day.isoweekday() % 7 in wanted


def nominal(text: str, first: date, days: int) -> list[datetime]:
    """Every minute on the wall from the start of ``first``, for so many days, that a cron line names."""
    runs_on = day_test(text)
    minutes, hours = numbers(text.split()[0], 0, 59), numbers(text.split()[1], 0, 23)
    times = [n * MINUTE for n in range(1440) if n % 60 in minutes and n // 60 in hours]
    found = (datetime.combine(first, datetime.min.time()) + n * timedelta(days=1) for n in range(days))
    return [day + time for day in found if runs_on(day.date()) for time in times]


def wall(tz: ZoneInfo, first: date, days: int) -> dict[datetime, datetime]:
    """For each minute on the wall the instant it is due, learned from every minute of UTC in turn.

    A minute that the clock shows is due when it is first shown. One that it jumps over is due as many minutes after
    the last one shown as it is further on.
    """
    start = datetime.combine(first - timedelta(days=2), datetime.min.time(), tzinfo=UTC)
    shown: dict[datetime, datetime] = {}
    for n in range((days + 4) * 1440):
        moment = start + n * MINUTE
        shown.setdefault(moment.astimezone(tz).replace(tzinfo=None, fold=0), moment)
    begin = datetime.combine(first, datetime.min.time())
    due: dict[datetime, datetime] = {}
    last_shown = begin
    for n in range(days * 1440):
        local = begin + n * MINUTE
        if local in shown:
            last_shown = local
        due[local] = shown[local] if local in shown else shown[last_shown] + (local - last_shown)
    return due


def slots(text: str, due: dict[datetime, datetime], first: date, days: int) -> list[Slot]:
    """Every nominal slot of the days in due order, each once; of those due together the last named runs."""
    named = sorted((due[local], local) for local in nominal(text, first, days))
    later = {instant: local for instant, local in named}
    return [
        Slot(
            f"{local:%Y-%m-%dT%H:%M}", instant, None if later[instant] == local else f"{later[instant]:%Y-%m-%dT%H:%M}"
        )
        for instant, local in named
    ]


def changes(tz: ZoneInfo, since: datetime, before: datetime) -> Iterator[tuple[datetime, timedelta, timedelta]]:
    """Each change of a zone's offset: the instant, the offset before it and the one from then on."""
    moment = since
    while moment < before:
        low, high = moment, moment + timedelta(days=7)
        moment = high
        if low.astimezone(tz).utcoffset() == high.astimezone(tz).utcoffset():
            continue
        old = low.astimezone(tz).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if middle.astimezone(tz).utcoffset() == old else (low, middle)
        at = high.replace(microsecond=0)
        yield at, old or timedelta(), at.astimezone(tz).utcoffset() or timedelta()


def random_line(rng: random.Random) -> str:
    """A cron line from all over the grammar; some of them name a day that never comes."""
    minute, hour = _random_field(rng, 0, 59), _random_field(rng, 0, 23)
    month = rng.choice(["*", "*", _random_field(rng, 1, 12), "jan-mar", "2", "2,4"])
    day = rng.choice(["*", "*", "L", _random_field(rng, 1, 31), _random_field(rng, 1, 31), "1,30", "1,31", "1-31"])
    weekday = rng.choice(["*", "*", _random_field(rng, 0, 6), "mon-fri", "5-7", "7", "SAT", "fri#2", "1#5", "L5", "L0"])
    if day != "*" and weekday != "*":
        if day == "L" or "#" in weekday or "L" in weekday:
            day, weekday = rng.choice([(day, "*"), ("*", weekday)])
        else:
            weekday += rng.choice([" any", " all"])
    return f"{minute} {hour} {day} {month} {weekday}"


def _random_field(rng: random.Random, low: int, high: int) -> str:
    first, last = sorted((rng.randint(low, high), rng.randint(low, high)))
    return rng.choice(
        [
            "*",
            str(first),
            f"{first}-{first}",
            ",".join(str(rng.randint(low, high)) for _ in range(rng.randint(2, 4))),
            f"{first}-{last}",
            f"{first}-{last}/{rng.randint(1, last - first + 1)}",
            f"{first}/{rng.randint(1, high - first + 1)}",
            f"*/{rng.randint(1, high - low)}",
        ]
    )


def never_comes(text: str) -> bool:
    """Whether no month named, in a leap year, is as long as the smallest day named."""
    _, _, day, month, *_ = text.lower().split()
    if day == "l":
        return False
    longest = max(calendar.monthrange(2028, number)[1] for number in numbers(month, 1, 12))
    return min(numbers(day, 1, 31)) > longest
