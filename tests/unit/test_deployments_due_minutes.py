"""The quick count of due minutes gives what the oracle gives, slot by slot, beside every kind of clock change."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.capacity import busiest
from deployments.due_minutes import Span, due_minutes, minute_at
from gda.schedule import parse_stored, slots_between
from gda.settings import Settings
from gda.store import Cohort

WEEK = timedelta(days=7)
LINES = (
    "daily 02:30",
    "daily 00:00",
    "weekdays 07:30",
    "weekly sat,sun 23:59",
    "monthly last 01:15",
    "30 1,2,3 * * *",
    "30 2 * * 5#2",
    "every 15 minutes",
    "once 2026-03-29T02:30",
)
CHANGES = {
    "Europe/Berlin": datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    "America/New_York": datetime(2026, 11, 1, 6, 0, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, 0, tzinfo=UTC),
    "Africa/Cairo": datetime(2026, 4, 23, 22, 0, tzinfo=UTC),
    "Antarctica/Troll": datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    "Pacific/Apia": datetime(2011, 12, 30, 10, 0, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2026, 6, 1, 0, 0, tzinfo=UTC),
}


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("line", LINES)
def test_the_minutes_of_a_week_are_those_of_the_oracle(line: str, zone: str) -> None:
    expression = parse_stored(line)
    for start in (CHANGES[zone] - timedelta(days=days, seconds=17) for days in (7, 6, 3, 1, 0)):
        slots = slots_between(expression, zone, start, start + WEEK)
        expected = {slot.due_at.replace(second=0) for slot in slots}
        found = due_minutes(expression, zone, Span(start, start + WEEK))
        assert {minute_at(number) for number in found} == expected, start


def test_what_is_due_as_the_span_begins_is_over_and_as_it_ends_is_in_it() -> None:
    start = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
    found = due_minutes(parse_stored("daily 07:30"), "UTC", Span(start, start + WEEK))
    assert {minute_at(number) for number in found} == {start + timedelta(days=day) for day in range(1, 8)}


def test_ten_thousand_small_cohorts_are_all_counted() -> None:
    zones = ("Europe/Berlin", "Asia/Tokyo", "UTC", "America/Denver", "Asia/Kolkata", "Africa/Cairo", "Europe/London")
    cohorts = [Cohort("digest", f"{n % 60} {n // 60} * * *", zone, 1) for n in range(24 * 60) for zone in zones]
    [first, *_] = busiest(cohorts, Settings(), datetime(2026, 6, 1, tzinfo=UTC))
    assert (len(cohorts), first.occurrences) == (10_080, len(zones))
