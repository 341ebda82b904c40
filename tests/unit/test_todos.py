"""Due dates and recurrences as values: days end where the user lives, series keep their day and their wall time."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from gda.errors import UsageError
from gda.todos import NewTodo, Repeat, checked, due_on, nominal_of, read_due, read_repeat, slots, successor

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def dates(rule: str, start: str, most: int, /, **ends: object) -> list[str]:
    repeat = read_repeat(rule, start, "UTC", **ends)  # type: ignore[arg-type]
    return [f"{moment:%Y-%m-%d}" for moment in islice(slots(repeat), most)]


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        ("2026-01-31", "UTC", "2026-02-01T00:00"),
        ("2026-01-31", "Asia/Tokyo", "2026-01-31T15:00"),
        ("2026-01-31", "America/New_York", "2026-02-01T05:00"),
        # The day after begins in a gap at midnight: this one ends where the gap begins.
        ("2026-04-23", "Africa/Cairo", "2026-04-23T22:00"),
        # The last hour of the day comes twice (24:00 becomes 23:00): the day ends after the second.
        ("2026-10-29", "Africa/Cairo", "2026-10-29T22:00"),
        # The day after does not exist in Samoa.
        ("2011-12-29", "Pacific/Apia", "2011-12-30T10:00"),
    ],
)
def test_what_is_due_on_a_day_is_due_at_its_end_where_the_user_lives(day: str, zone: str, end: str) -> None:
    due = read_due(day, zone)
    assert (due.at, due.day) == (utc(end), day)
    assert nominal_of(due, zone) == day


@pytest.mark.parametrize(
    ("typed", "instant", "nominal"),
    [
        ("2026-01-31T09:00", "2026-01-31T08:00", "2026-01-31T09:00"),
        ("2026-01-31T09:00Z", "2026-01-31T09:00", "2026-01-31T10:00"),
        ("2026-01-31T09:00-05:00", "2026-01-31T14:00", "2026-01-31T15:00"),
        ("2026-03-29T02:30", "2026-03-29T01:30", "2026-03-29T03:30"),
        ("2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T02:30"),
    ],
)
def test_a_time_is_the_users_own_unless_it_has_an_offset(typed: str, instant: str, nominal: str) -> None:
    due = read_due(typed, "Europe/Berlin")
    assert (due.at, due.day) == (utc(instant), None)
    assert nominal_of(due, "Europe/Berlin") == nominal


@pytest.mark.parametrize("typed", ["soon", "2026-02-30", "2026-13-01T09:00", "", "0001-01-01", "9999-12-31"])
def test_what_is_no_date_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        read_due(typed, "UTC")


@pytest.mark.parametrize(
    ("rule", "start", "wanted"),
    [
        ("monthly", "2026-01-31", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("monthly", "2024-01-30", ["2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30", "2024-05-30"]),
        ("monthly", "2026-01-29", ["2026-01-29", "2026-02-28", "2026-03-29", "2026-04-29", "2026-05-29"]),
        ("monthly", "2026-01-28", ["2026-01-28", "2026-02-28", "2026-03-28", "2026-04-28", "2026-05-28"]),
        ("yearly", "2024-02-29", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("yearly", "2026-12-31", ["2026-12-31", "2027-12-31", "2028-12-31", "2029-12-31", "2030-12-31"]),
        ("daily", "2024-02-27", ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"]),
        ("weekly", "2026-12-24", ["2026-12-24", "2026-12-31", "2027-01-07", "2027-01-14", "2027-01-21"]),
        # To the letter of RFC 5545: months without a 31st are left out.
        ("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31", ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1FR", "2026-01-30", ["2026-01-30", "2026-02-27", "2026-03-27", "2026-04-24"]),
        # The first one is the first of its series even where the rule does not fall on it.
        ("freq=weekly;byday=mo,fr", "2026-11-21", ["2026-11-21", "2026-11-23", "2026-11-27", "2026-11-30"]),
    ],
)
def test_a_series_keeps_the_day_of_its_first(rule: str, start: str, wanted: list[str]) -> None:
    assert dates(rule, start, len(wanted)) == wanted


@pytest.mark.parametrize(
    ("rule", "ends", "wanted"),
    [
        ("monthly", {"count": 3}, ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("monthly", {"until": "2026-03-31"}, ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("monthly", {"until": "2026-03-30"}, ["2026-01-31", "2026-02-28"]),
        ("monthly", {"interval": 12, "count": 2}, ["2026-01-31", "2027-01-31"]),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", {}, ["2026-01-31", "2026-02-10", "2026-02-20"]),
        ("FREQ=DAILY;UNTIL=20260202", {}, ["2026-01-31", "2026-02-01", "2026-02-02"]),
        ("FREQ=DAILY;UNTIL=20260202T000000Z", {}, ["2026-01-31", "2026-02-01", "2026-02-02"]),
        ("daily", {"count": 1}, ["2026-01-31"]),
    ],
)
def test_a_series_ends_after_its_count_or_on_its_date(rule: str, ends: dict[str, object], wanted: list[str]) -> None:
    assert dates(rule, "2026-01-31", 10, **ends) == wanted


@pytest.mark.parametrize(
    ("rule", "options", "part"),
    [
        ("hourly", {}, "say daily, weekly, monthly, yearly, or an RFC 5545 rule"),
        ("FREQ=HOURLY", {}, "FREQ is DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=DAILY;BYHOUR=9", {}, "'BYHOUR' is not read here"),
        ("FREQ=DAILY;FREQ=WEEKLY", {}, "says a part twice"),
        ("FREQ=DAILY;BYDAY=XX", {}, "is no RFC 5545 rule"),
        ("FREQ=DAILY;COUNT=3", {"count": 4}, "COUNT stands in the rule"),
        ("daily", {"interval": 0}, "interval '0': give a number from 1"),
        ("daily", {"count": 100_000}, "count '100000': give a number from 1"),
        ("daily", {"count": 3, "until": "2027-01-01"}, "after a count or on a date: give one"),
        ("daily", {"until": "2025-12-31"}, "lies before the first due date"),
        ("daily", {"until": "later"}, "until 'later' is no date"),
        ("daily", {"missed": "some"}, "missed 'some': choose next or every"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", {}, "never comes after 2026-01-31"),
    ],
)
def test_a_recurrence_that_cannot_be_is_refused_with_a_reason(rule: str, options: dict[str, object], part: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_repeat(rule, "2026-01-31", "UTC", **options)  # type: ignore[arg-type]
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("start", "slot", "wanted"),
    [
        # Berlin's clocks go from 02:00 to 03:00 on 29 March: 02:30 is due at the same elapsed position, 03:30.
        ("2026-03-28T02:30", "2026-03-29T02:30", "2026-03-29T01:30"),
        # They go back on 25 October: 02:30 comes twice and is due the first time.
        ("2026-10-24T02:30", "2026-10-25T02:30", "2026-10-25T00:30"),
        # The time on the wall stays, though the day has 23 or 25 hours.
        ("2026-03-28T09:00", "2026-03-29T09:00", "2026-03-29T07:00"),
        ("2026-10-24T09:00", "2026-10-25T09:00", "2026-10-25T08:00"),
    ],
)
def test_the_wall_time_is_kept_over_a_clock_change(start: str, slot: str, wanted: str) -> None:
    found = successor(
        Repeat("daily", start),
        slot=start,
        due_at=due_on(start, "Europe/Berlin").at,
        timezone="Europe/Berlin",
        now=LONG_AGO,
    )
    assert found is not None
    assert (found.slot, found.due.at) == (slot, utc(wanted))


def test_a_time_moved_by_a_gap_goes_back_to_its_own_on_the_next_day() -> None:
    repeat = Repeat("daily", "2026-03-28T02:30")
    gap = due_on("2026-03-29T02:30", "Europe/Berlin")
    found = successor(repeat, slot="2026-03-29T02:30", due_at=gap.at, timezone="Europe/Berlin", now=LONG_AGO)
    assert found is not None
    assert (found.slot, found.due.at) == ("2026-03-30T02:30", utc("2026-03-30T00:30"))


@pytest.mark.parametrize(
    ("missed", "wanted"),
    [("next", "2026-03-11"), ("every", "2026-03-02")],
    ids=["the next to come", "every one missed"],
)
def test_what_is_done_late_goes_on_as_its_policy_says(missed: str, wanted: str) -> None:
    repeat = Repeat("daily", "2026-03-01", missed=missed)
    now = utc("2026-03-11T12:00")
    found = successor(repeat, slot="2026-03-01", due_at=utc("2026-03-02T00:00"), timezone="UTC", now=now)
    assert found is not None
    assert found.slot == wanted


def test_one_that_was_moved_is_followed_by_the_first_date_behind_it() -> None:
    repeat = Repeat("weekly", "2026-03-02")
    moved = utc("2026-03-12T00:00")
    found = successor(repeat, slot="2026-03-02", due_at=moved, timezone="UTC", now=LONG_AGO)
    assert found is not None
    assert found.slot == "2026-03-16"


@pytest.mark.parametrize("end", [{"count": 2}, {"until": "2026-03-02"}])
def test_a_series_that_has_ended_has_no_next_one(end: dict[str, object]) -> None:
    repeat = read_repeat("daily", "2026-03-01", "UTC", **end)  # type: ignore[arg-type]
    last = {"slot": "2026-03-02", "due_at": utc("2026-03-03T00:00"), "timezone": "UTC", "now": LONG_AGO}
    assert successor(repeat, **last) is None  # type: ignore[arg-type]


def test_a_series_of_many_years_is_not_walked_through_from_its_beginning() -> None:
    repeat = Repeat("daily", "1970-01-01", interval=3)
    walked = slots(repeat, after="2026-03-01")
    found = next(walked)
    assert (found - datetime(1970, 1, 1)).days % 3 == 0  # noqa: DTZ001
    assert timedelta() < found - datetime(2026, 3, 1) <= timedelta(days=3)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("new", "part"),
    [
        (NewTodo("ada", "  "), "a title has 1 to 200 characters"),
        (NewTodo("ada", "two\nlines"), "on one line"),
        (NewTodo("ada", "x" * 201), "this one has 201"),
        (NewTodo("ada", "x", description="y" * 10_001), "at most 10000 characters"),
        (NewTodo("ada", "x", priority="urgent"), "choose one of low, normal, high"),
        (NewTodo("ada", "x", tags=("",)), "tags of 1 to 50 characters"),
        (NewTodo("ada", "x", repeat=Repeat("daily", "2026-03-01")), "needs a due date"),
        (NewTodo("ada", "x", id="No Spaces"), "use lower-case letters"),
    ],
)
def test_a_todo_that_breaks_a_rule_is_refused(new: NewTodo, part: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked(new)
    assert part in str(refused.value)


def test_titles_and_tags_are_trimmed_and_tags_stand_once() -> None:
    assert checked(NewTodo("ada", " Water plants ", tags=("home", " home", "green"))).tags == ("home", "green")
