"""All changes of all clocks from 2020 to 2035, and the days that never were, against brute force."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gda.schedule import CatchUp, Policies, Promise, decide_due, parse, slots_between, zone_names
from tests.oracle.brute import Slot, changes, slots, wall, zone_of

FULL = bool(os.environ.get("ORACLE_FULL"))
EVERY_NTH = 1 if FULL else 24
SINCE, BEFORE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
DAYS = 4

Change = tuple[str, datetime, timedelta, timedelta]


@cache
def distinct_changes() -> tuple[tuple[Change, ...], int, int]:
    """One zone for each distinct change, how many changes there are with repetition, and in how many zones."""
    seen: dict[tuple[datetime, timedelta, timedelta], str] = {}
    total, zones = 0, 0
    for name in sorted(zone_names()):
        found = list(changes(zone_of(name), SINCE, BEFORE))
        # A zone that changed twice within a day would need a wider look back than the code takes.
        assert all(later[0] - earlier[0] > timedelta(days=1) for earlier, later in pairwise(found))
        total, zones = total + len(found), zones + bool(found)
        for change in found:
            seen.setdefault(change, name)
    return tuple((name, *change) for change, name in seen.items()), total, zones


def lines_for(at: datetime, before: timedelta, after: timedelta) -> list[str]:
    """The four schedules of the plan in the middle of a change, and the third one moved to its hour."""
    middle = (at + before).replace(tzinfo=None) + (after - before) / 2
    time = f"{middle.minute} {middle.hour}"
    hours = ",".join(str(hour) for hour in sorted({(middle.hour + n) % 24 for n in (-1, 0, 1)}))
    return [
        f"{time} * * *",
        f"{time} * * 1-5",
        f"{time} {middle.day} * *",
        "30 1,2,3 * * *",
        f"{middle.minute} {hours} * * *",
    ]


def compare(text: str, name: str, tz: ZoneInfo, due: dict[datetime, datetime], first: date, days: int) -> list[Slot]:
    """Hold the code's slots and promises of those days against brute force; return what brute force says."""
    expected = slots(text, due, first, days)
    first_due, last_due = min(due.values()), max(due.values())
    found = [
        Slot(slot.slot, slot.due_at, slot.merged_into)
        for slot in slots_between(parse(text), name, first_due - timedelta(seconds=1), last_due)
    ]
    assert found == expected, (text, name, first)
    promised = list(promise_all(text, name, first_due, last_due))
    assert [promise.slot for promise in promised] == [slot.name for slot in expected], (text, name, first)
    merged = {promise.slot: promise.reason for promise in promised if promise.status == "skipped"}
    assert merged == {slot.name: f"merged into {slot.merged_into}" for slot in expected if slot.merged_into}
    running = [promise.due_at for promise in promised if promise.status == "scheduled"]
    assert len(set(running)) == len(running), (text, name, first)
    return expected


def promise_all(text: str, name: str, since: datetime, until: datetime) -> Iterator[Promise]:
    """What the ledger would be told by wake-ups that come at a rhythm of their own, the last at ``until``."""
    expression, next_due_at, now = parse(text), None, since
    known: set[str] = set()
    while True:
        decision = decide_due(
            expression, name, policies=Policies(catch_up=CatchUp.ALL), active_from=since, next_due_at=next_due_at,
            now=now, early=timedelta(0), known=known,
        )  # fmt: skip
        yield from decision.promises
        known.update(promise.slot for promise in decision.promises)
        next_due_at = decision.next_due_at
        if now == until:
            return
        now = min(now + timedelta(minutes=217), until)


def test_the_changes_of_2020_to_2035_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    distinct, total, zones = distinct_changes()
    gaps = sum(after > before for _, _, before, after in distinct)
    with capsys.disabled():
        print(
            f"\n{total} changes of {zones} zones, {len(distinct)} distinct: {gaps} gaps, {len(distinct) - gaps} folds "
            f"(2020 to 2035); 1 in {EVERY_NTH} is compared"
        )

    assert len(distinct) > 900
    assert 0.45 < gaps / len(distinct) < 0.55


@pytest.mark.timeout(900)
def test_every_nominal_slot_around_any_change_is_promised_exactly_once(capsys: pytest.CaptureFixture[str]) -> None:
    compared = merged = 0
    for name, at, before, after in distinct_changes()[0][::EVERY_NTH]:
        tz = zone_of(name)
        first = (at + min(before, after)).date() - timedelta(days=DAYS // 2)
        due = wall(tz, first, DAYS)
        for text in lines_for(at, before, after):
            expected = compare(text, name, tz, due, first, DAYS)
            compared += len(expected)
            merged += sum(slot.merged_into is not None for slot in expected)
    with capsys.disabled():
        print(f"\n{compared} slots around changes compared, {merged} of them merged")

    assert merged > 0


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("Pacific/Apia", "2011-12-30"),
        ("Pacific/Fakaofo", "2011-12-30"),
        ("Pacific/Kwajalein", "1993-08-21"),
        ("Antarctica/Troll", "2026-03-29"),
        ("Antarctica/Troll", "2026-10-25"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("America/Nuuk", "2026-03-28"),
        ("America/Nuuk", "2026-10-24"),
        ("Africa/Cairo", "2026-04-24"),
        ("Africa/Cairo", "2026-10-29"),
        ("America/Havana", "2025-03-09"),
        ("Asia/Beirut", "2026-03-29"),
        ("America/Caracas", "2016-05-01"),
        ("Asia/Pyongyang", "2018-05-04"),
        ("Africa/Casablanca", "2024-03-10"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
    ],
)
def test_awkward_zones_and_missing_days_lose_and_double_nothing(name: str, day: str) -> None:
    nominal_day = date.fromisoformat(day)
    first = nominal_day - timedelta(days=2)
    tz, days = zone_of(name), 5
    due = wall(tz, first, days)
    weekday = nominal_day.isoweekday() % 7
    lines = ["0 9 * * *", f"0 9 * * {weekday}", f"30 23 {nominal_day.day} * *", "30 1,2,3 * * *", "0 */6 * * *"]
    for text in [*lines, "0 0 * * *", "30 0 * * *", "15 2 * * *", "45 1 * * *", "0,30 0,1,2,3,23 * * *", "@hourly"]:
        compare("0 * * * *" if text == "@hourly" else text, name, tz, due, first, days)
