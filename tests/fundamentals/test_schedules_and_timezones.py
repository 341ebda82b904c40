"""Schedules and timezones, to be read from top to bottom.

A user says ``daily 02:30`` and lives somewhere. What is promised is one digest for each 02:30 on the calendar: that
is a slot, named as the clock on the wall would say it. When a slot is due is a question to the timezone, and the
answer may be odd.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gda.errors import InvalidSchedule
from gda.schedule import CatchUp, Policies, decide_due, describe, latest_slot, next_slots, parse, preview


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_schedule_is_written_in_words_or_as_cron_and_both_mean_the_same() -> None:
    assert parse("weekdays 07:30") == parse("30 7 * * 1-5")
    assert str(parse("30 7 * * 1-5")) == "weekdays 07:30"
    assert describe(parse("30 7 * * 1-5"), "Europe/Berlin") == "every weekday at 07:30 Europe/Berlin"


def test_what_engines_read_differently_is_refused_with_advice() -> None:
    with pytest.raises(InvalidSchedule, match="say which by adding 'any' or 'all'"):
        parse("0 9 13 * 5")  # the 13th or a Friday? Engines disagree.


def test_a_slot_is_named_by_the_wall_and_due_at_an_instant() -> None:
    (slot,) = next_slots(parse("daily 07:30"), "Europe/Berlin", utc("2026-07-01T00:00"), 1)

    assert slot.slot == "2026-07-01T07:30"
    assert slot.due_at == utc("2026-07-01T05:30")


def test_a_time_that_does_not_exist_still_happens_once() -> None:
    # On 8 March 2026 New York's clocks go from 02:00 straight to 03:00. Half past two is served at half past three.
    row = preview(parse("daily 02:30"), "America/New_York", utc("2026-03-08T00:00"), 1)[0]

    assert row.slot == "2026-03-08T02:30"
    assert row.local == "2026-03-08T03:30:00-04:00"
    assert row.note == "02:30 does not exist on 8 March: runs 03:30"


def test_a_time_that_exists_twice_happens_once() -> None:
    # On 1 November 2026 New York's clocks show 01:30 twice. The first one counts.
    slots = next_slots(parse("daily 01:30"), "America/New_York", utc("2026-10-31T12:00"), 2)

    assert [slot.slot for slot in slots] == ["2026-11-01T01:30", "2026-11-02T01:30"]
    assert slots[0].due_at == utc("2026-11-01T05:30")


def test_elapsed_time_is_counted_in_utc_and_knows_no_clock_change() -> None:
    slots = next_slots(parse("every 30 minutes"), "America/New_York", utc("2026-03-08T06:00"), 4)

    gaps = {later.due_at - earlier.due_at for earlier, later in pairwise(slots)}
    assert gaps == {timedelta(minutes=30)}


def test_the_latest_slot_is_what_a_hand_at_the_trigger_means() -> None:
    slot = latest_slot(parse("weekdays 07:30"), "Europe/Berlin", utc("2026-11-22T12:00"))  # a Sunday

    assert slot is not None
    assert slot.slot == "2026-11-20T07:30"


def test_after_an_outage_the_newest_slot_runs_and_the_others_leave_a_reason() -> None:
    decision = decide_due(
        parse("0 8,12,16 * * *"),
        "Europe/Berlin",
        policies=Policies(catch_up=CatchUp.LATEST, catch_up_window=timedelta(hours=12)),
        active_from=utc("2026-11-01T00:00"),
        next_due_at=utc("2026-11-21T07:00"),  # 08:00 in Berlin: the first slot without a row
        now=utc("2026-11-21T15:10"),  # 16:10 in Berlin
        early=timedelta(seconds=90),
    )

    assert [(promise.slot[-5:], promise.status, promise.reason) for promise in decision.promises] == [
        ("08:00", "skipped", "catch-up latest: superseded by 2026-11-21T16:00"),
        ("12:00", "skipped", "catch-up latest: superseded by 2026-11-21T16:00"),
        ("16:00", "scheduled", ""),
    ]
    assert decision.next_due_at == utc("2026-11-22T07:00")


def test_asking_again_promises_nothing_twice() -> None:
    known = ["2026-11-21T07:30"]
    decision = decide_due(
        parse("daily 07:30"),
        "UTC",
        policies=Policies(),
        active_from=utc("2026-11-21T00:00"),
        next_due_at=None,
        now=utc("2026-11-21T08:00"),
        early=timedelta(seconds=90),
        known=known,
    )

    assert decision.promises == ()
    assert decision.next_due_at == utc("2026-11-22T07:30")
