"""The oracle: names, order and due times of slots, against brute force and across clock changes."""

from datetime import UTC, datetime, timedelta

import pytest

from gda.errors import InvalidSchedule
from gda.schedule import (
    DueSlot,
    first_after,
    latest_slot,
    next_slots,
    parse,
    parse_slot,
    slot_at,
    slot_name,
    slots_between,
)
from gda.schedule.count import count_slots

NEW_YORK = "America/New_York"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(text: str, tz: str, after: str, until: str) -> list[DueSlot]:
    return list(slots_between(parse(text, max_runs_per_day=None), tz, utc(after), utc(until)))


def test_a_time_in_a_gap_runs_once_at_the_same_elapsed_position() -> None:
    due = between("daily 02:30", NEW_YORK, "2026-03-07T12:00", "2026-03-09T12:00")

    assert due == [
        DueSlot("2026-03-08T02:30", utc("2026-03-08T07:30"), "gap"),
        DueSlot("2026-03-09T02:30", utc("2026-03-09T06:30"), ""),
    ]


def test_a_time_in_a_fold_runs_once_the_first_time() -> None:
    due = between("daily 01:30", NEW_YORK, "2026-10-31T12:00", "2026-11-02T12:00")

    assert due == [
        DueSlot("2026-11-01T01:30", utc("2026-11-01T05:30"), "fold"),
        DueSlot("2026-11-02T01:30", utc("2026-11-02T06:30"), ""),
    ]


def test_a_missing_day_is_served_late_and_says_so() -> None:
    due = between("weekly fri 09:00", "Pacific/Apia", "2011-12-25T00:00", "2012-01-07T00:00")

    assert due == [
        DueSlot("2011-12-30T09:00", utc("2011-12-30T19:00"), "missing-day"),
        DueSlot("2012-01-06T09:00", utc("2012-01-05T19:00"), ""),
    ]


def test_slots_due_together_merge_into_the_later_name() -> None:
    gap = between("30 2,3 * * *", NEW_YORK, "2026-03-08T00:00", "2026-03-08T23:00")
    day = between("daily 09:00", "Pacific/Apia", "2011-12-30T12:00", "2011-12-31T12:00")

    assert [(due.slot, due.merged_into) for due in gap] == [
        ("2026-03-08T02:30", "2026-03-08T03:30"),
        ("2026-03-08T03:30", None),
    ]
    assert [(due.slot, due.merged_into) for due in day] == [
        ("2011-12-30T09:00", "2011-12-31T09:00"),
        ("2011-12-31T09:00", None),
    ]


def test_slots_of_a_gap_come_where_they_are_due_not_where_they_are_named() -> None:
    due = between("0,20,40 1-4 * * *", NEW_YORK, "2026-03-08T06:30", "2026-03-08T08:10")

    assert [(slot.slot[-5:], slot.due_at.strftime("%H:%M")) for slot in due] == [
        ("01:40", "06:40"),
        ("02:00", "07:00"),
        ("03:00", "07:00"),
        ("02:20", "07:20"),
        ("03:20", "07:20"),
        ("02:40", "07:40"),
        ("03:40", "07:40"),
        ("04:00", "08:00"),
    ]


@pytest.mark.parametrize("minute", range(0, 240, 7))
def test_asking_in_the_middle_of_a_change_loses_and_repeats_nothing(minute: int) -> None:
    for text, tz, start in [
        ("daily 02:30", NEW_YORK, utc("2026-03-08T05:00")),
        ("*/15 * * * *", NEW_YORK, utc("2026-03-08T05:00")),
        ("*/15 * * * *", NEW_YORK, utc("2026-11-01T04:00")),
        ("@hourly", "Pacific/Apia", utc("2011-12-30T08:00")),
        ("15,30 2 * * *", "Australia/Lord_Howe", utc("2026-10-03T14:30")),
        ("30 23 * * *", "America/Nuuk", utc("2026-03-28T23:00")),
    ]:
        expression, cut, end = parse(text), start + timedelta(minutes=minute), start + timedelta(days=3)
        whole = list(slots_between(expression, tz, start, end))
        parts = [*slots_between(expression, tz, start, cut), *slots_between(expression, tz, cut, end)]
        assert parts == whole
        assert latest_slot(expression, tz, cut) == next(
            iter([*slots_between(expression, tz, start - timedelta(days=3), cut)][::-1])
        )


def test_every_counts_elapsed_time_and_names_slots_in_utc() -> None:
    due = between("every 90 minutes", NEW_YORK, "2026-03-08T05:59", "2026-03-08T09:00")

    assert [slot.slot for slot in due] == ["2026-03-08T06:00", "2026-03-08T07:30", "2026-03-08T09:00"]
    assert all(slot.slot == slot_name(slot.due_at) for slot in due)


def test_once_is_one_slot_in_the_schedules_own_timezone() -> None:
    once = parse("once 2026-12-24T18:00")
    eve = DueSlot("2026-12-24T18:00", utc("2026-12-24T17:00"))

    assert next_slots(once, "Europe/Berlin", utc("2026-01-01T00:00"), 5) == [eve]
    assert latest_slot(once, "Europe/Berlin", utc("2027-01-01T00:00")) == eve
    assert latest_slot(once, "Europe/Berlin", utc("2026-12-24T16:59")) is None
    assert first_after(once, "Europe/Berlin", eve.due_at) is None


def test_the_latest_slot_is_found_however_rare() -> None:
    leap = parse("0 9 29 2 *")

    assert latest_slot(leap, "UTC", utc("2027-06-01T00:00")) == DueSlot("2024-02-29T09:00", utc("2024-02-29T09:00"))
    assert latest_slot(leap, "UTC", utc("2104-02-01T00:00")) == DueSlot("2096-02-29T09:00", utc("2096-02-29T09:00"))
    assert latest_slot(parse("daily 09:00"), "UTC", utc("2026-11-21T09:00")) == DueSlot(
        "2026-11-21T09:00", utc("2026-11-21T09:00")
    )


def test_a_fold_seen_from_its_second_pass_is_over() -> None:
    second_pass = utc("2026-11-01T06:10")  # the clock shows 01:10 for the second time

    assert first_after(parse("daily 01:30"), NEW_YORK, second_pass) == DueSlot(
        "2026-11-02T01:30", utc("2026-11-02T06:30")
    )
    assert latest_slot(parse("daily 01:30"), NEW_YORK, second_pass) == DueSlot(
        "2026-11-01T01:30", utc("2026-11-01T05:30"), "fold"
    )


def test_bounds_are_open_below_and_closed_above_and_must_be_aware() -> None:
    assert [slot.slot for slot in between("daily 09:00", "UTC", "2026-01-01T09:00", "2026-01-02T09:00")] == [
        "2026-01-02T09:00"
    ]
    with pytest.raises(ValueError, match="aware"):
        first_after(parse("daily 09:00"), "UTC", datetime.fromisoformat("2026-01-01T09:00"))


def test_a_slot_is_found_by_its_name_and_only_where_the_schedule_has_it() -> None:
    daily = parse("daily 02:30")

    assert slot_at(daily, NEW_YORK, "2026-03-08T02:30") == DueSlot("2026-03-08T02:30", utc("2026-03-08T07:30"), "gap")
    assert slot_at(daily, NEW_YORK, "2026-03-08T03:30") is None
    assert slot_at(daily, NEW_YORK, "2026-03-08") is None
    assert slot_at(parse("every 15 minutes"), NEW_YORK, "2026-03-08T02:30") == DueSlot(
        "2026-03-08T02:30", utc("2026-03-08T02:30")
    )
    assert slot_at(parse("30 2,3 * * *"), NEW_YORK, "2026-03-08T02:30") == DueSlot(
        "2026-03-08T02:30", utc("2026-03-08T07:30"), "gap", "2026-03-08T03:30"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-08",
        "2026-03-08 02:30",
        "2026-03-08T02:30Z",
        "2026-02-30T02:30",
        "2026-03-08T2:30",
        "２026-03-08T02:30",
    ],
)
def test_what_is_no_slots_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidSchedule, match="2026-03-08T02:30"):
        parse_slot(text)


def test_slot_names_read_back_and_sort_as_time_does() -> None:
    moments = [datetime.fromisoformat(f"2026-03-0{day}T{hour:02d}:30") for day in (1, 8) for hour in range(24)]

    assert [parse_slot(slot_name(moment)) for moment in moments] == moments
    assert sorted(map(slot_name, moments)) == [slot_name(moment) for moment in moments]
    assert slot_name(datetime.fromisoformat("2026-03-08T02:30:15")) == "2026-03-08T02:30:15"


@pytest.mark.parametrize("text", ["*/5 * * * *", "daily 02:30", "0 */6 1-7 * 1 any", "every 7 minutes", "0 9 * * L5"])
@pytest.mark.parametrize("tz", ["UTC", NEW_YORK, "Pacific/Apia"])
def test_counting_agrees_with_walking(text: str, tz: str) -> None:
    expression = parse(text, max_runs_per_day=None)
    for since, before in [
        (utc("2011-12-20T19:00"), utc("2012-01-19T19:00")),
        (utc("2026-03-08T07:30"), utc("2026-03-27T07:31")),
        (utc("2026-10-22T05:00"), utc("2026-11-03T05:30")),
        (utc("2026-11-01T05:00"), utc("2026-11-01T05:00")),
    ]:
        tick = timedelta(microseconds=1)
        walked = sum(1 for _ in slots_between(expression, tz, since - tick, before - tick))
        assert count_slots(expression, tz, since, before) == walked
