"""Recurrence against dateutil, whose rules are read to the letter, against plain arithmetic with relativedelta for the
words, and against recurring-ical-events, which reads a whole calendar with its zone as a calendar program does.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import count, islice, takewhile

from dateutil import tz
from dateutil.relativedelta import relativedelta
from dateutil.rrule import rrulestr
from icalendar import Calendar
from recurring_ical_events import of

from gda.schedule import zone, zone_names
from gda.todos import Repeat, due_on, read_repeat, successor

AMOUNT = 10_000 if os.environ.get("ORACLE_FULL") else 300
ZONES = sorted(name for name in zone_names() if "/" in name)
STEPS = {"daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}


def instant(local: datetime, name: str, *, day: bool) -> datetime:
    """When a local date is due, as dateutil says it: its end for a day; behind a gap; the first of two."""
    moment = local + timedelta(days=1) if day else local
    return tz.resolve_imaginary(moment.replace(tzinfo=zone(name))).astimezone(UTC)  # type: ignore[no-any-return]


def by_arithmetic(word: str, interval: int, start: datetime) -> Iterator[datetime]:
    return (start + relativedelta(**{STEPS[word]: number * interval}) for number in count())  # type: ignore[arg-type]


def by_rule(text: str, start: datetime) -> Iterator[datetime]:
    yield start
    yield from (moment for moment in rrulestr(text, dtstart=start) if moment > start)


def by_calendar(rule: str, start: datetime, name: str, *, day: bool) -> Iterator[datetime]:
    """The local dates after ``start`` of an event that repeats in a calendar."""
    begins = f";VALUE=DATE:{start:%Y%m%d}" if day else f";TZID={name}:{start:%Y%m%dT%H%M%S}"
    event = ("BEGIN:VEVENT", "UID:one", f"DTSTART{begins}", f"RRULE:{rule}", "END:VEVENT")
    calendar = Calendar.from_ical("\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *event, "END:VCALENDAR", ""]))
    for found in of(calendar).after(start.replace(tzinfo=UTC) - timedelta(days=2)):
        moment = found["DTSTART"].dt
        local = moment.replace(tzinfo=None) if isinstance(moment, datetime) else datetime.combine(moment, time.min)
        if local > start:
            yield local


def a_start(chance: random.Random, *, day: bool) -> datetime:
    ends = [datetime(2024, 2, 29), datetime(2026, 1, 31), datetime(2025, 12, 30), datetime(2026, 3, 28)]  # noqa: DTZ001
    some = datetime(2019, 1, 1) + timedelta(days=chance.randrange(4000))  # noqa: DTZ001
    moment = chance.choice([*ends, some, some])
    return moment if day else moment.replace(hour=chance.choice([0, 1, 2, 3, 9, 23]), minute=chance.choice([0, 30]))


def a_rule(chance: random.Random) -> str:
    days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
    parts = {
        "DAILY": ["", ";BYMONTH=2,3,10", f";BYDAY={chance.choice(days)}"],
        "WEEKLY": [f";BYDAY={','.join(chance.sample(days, 2))}", ";WKST=SU;BYDAY=SU,TH", ""],
        "MONTHLY": [
            f";BYDAY={chance.choice([-1, 1, 2, 5])}{chance.choice(days)}",
            f";BYMONTHDAY={chance.choice([-1, 15, 29, 30, 31])}",
            ";BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        ],
        "YEARLY": [";BYMONTH=2;BYMONTHDAY=29", ";BYMONTH=3,10;BYDAY=-1SU", ";BYYEARDAY=-1,100", ";BYWEEKNO=53"],
    }
    frequency = chance.choice(list(parts))
    part = chance.choice(parts[frequency])
    # Each second, third... day of one weekday only may never come, nor 29 February in each second year from an odd one.
    interval = 1 if frequency == "DAILY" else chance.choice([1, 1, 3] if part.endswith("=29") else [1, 1, 2, 3])
    return f"FREQ={frequency};INTERVAL={interval}{part}"


def expected(dates: Iterator[datetime], slot: datetime, now: datetime, name: str, *, day: bool) -> datetime:
    """The first date behind ``slot`` that is due behind ``now`` and behind the slot's own instant."""
    after = max(now, instant(slot, name, day=day))
    return next(moment for moment in dates if moment > slot and instant(moment, name, day=day) > after)


def test_the_next_one_of_generated_series_is_dateutils_in_every_zone() -> None:
    chance = random.Random(20261121)
    for _ in range(AMOUNT):
        day, name = chance.random() < 0.4, chance.choice(ZONES)
        start = a_start(chance, day=day)
        word, rule, interval = chance.choice(list(STEPS)), a_rule(chance), chance.choice([1, 1, 2, 5])
        by_word = chance.random() < 0.5
        text = f"{start:%Y-%m-%d}" if day else f"{start:%Y-%m-%dT%H:%M}"
        repeat = Repeat(word, text, interval) if by_word else read_repeat(rule, text, name)

        def dates() -> Iterator[datetime]:
            return by_arithmetic(word, interval, start) if by_word else by_rule(rule, start)  # noqa: B023

        known = list(takewhile(lambda moment: moment < start + timedelta(days=1500), dates()))  # noqa: B023
        slot = chance.choice(known[:40])
        now = slot.replace(tzinfo=UTC) + timedelta(hours=chance.choice([-30, 1, 20, 400, 9000]))
        wanted = expected(dates(), slot, now, name, day=day)

        named = f"{slot:%Y-%m-%d}" if day else f"{slot:%Y-%m-%dT%H:%M}"
        found = successor(repeat, slot=named, due_at=due_on(named, name).at, timezone=name, now=now)

        assert found is not None, (repeat, name, slot, now)
        shown = (datetime.fromisoformat(found.slot), found.due.at)
        assert shown == (wanted, instant(wanted, name, day=day)), (repeat, name, slot, now)


def test_the_next_one_of_generated_rules_is_the_calendars_in_every_zone() -> None:
    chance = random.Random(20261122)
    for _ in range(AMOUNT):
        day, name = chance.random() < 0.4, chance.choice(ZONES)
        start, rule = a_start(chance, day=day), a_rule(chance)
        text = f"{start:%Y-%m-%d}" if day else f"{start:%Y-%m-%dT%H:%M}"
        dates = list(islice(by_calendar(rule, start, name, day=day), 12))
        slot = chance.choice([start, *dates[:8]])
        now = slot.replace(tzinfo=UTC) + timedelta(hours=chance.choice([-30, 1]))
        wanted = expected(iter(dates), slot, now, name, day=day)

        named = f"{slot:%Y-%m-%d}" if day else f"{slot:%Y-%m-%dT%H:%M}"
        due = due_on(named, name).at
        found = successor(read_repeat(rule, text, name), slot=named, due_at=due, timezone=name, now=now)

        assert found is not None, (rule, text, name, slot, now)
        shown = (datetime.fromisoformat(found.slot), found.due.at)
        assert shown == (wanted, instant(wanted, name, day=day)), (rule, text, name, slot, now)
