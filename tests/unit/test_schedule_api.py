"""Schedules in Python: constructors, the sentence form, and the two questions ``is_due`` and ``next_after``."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gda.errors import InvalidSchedule
from gda.schedule import Schedule, every, is_due, next_after, next_slots, parse

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("made", "text", "timezone"),
    [
        (Schedule.daily("07:30", tz=BERLIN), "daily 07:30", BERLIN),
        (Schedule.weekdays("07:30", tz=BERLIN), "weekdays 07:30", BERLIN),
        (Schedule.weekly("mon,thu", "07:30", tz=BERLIN), "weekly mon,thu 07:30", BERLIN),
        (Schedule.weekly(["thu", "mon"], "07:30"), "weekly mon,thu 07:30", "UTC"),
        (Schedule.monthly(1, "09:00", tz=BERLIN), "monthly 1 09:00", BERLIN),
        (Schedule.monthly([15, 1], "09:00", tz=BERLIN), "monthly 1,15 09:00", BERLIN),
        (Schedule.monthly("last", "09:00", tz=BERLIN), "monthly last 09:00", BERLIN),
        (Schedule.cron("30 7 * * 1-5", tz=BERLIN), "weekdays 07:30", BERLIN),
        (Schedule.cron("*/20 0 9 * * *", tz=BERLIN, seconds=True), "*/20 0 9 * * *", BERLIN),
        (Schedule.once("2026-12-24T18:00", tz=BERLIN), "once 2026-12-24T18:00", BERLIN),
        (Schedule.once(datetime.fromisoformat("2026-12-24T18:00"), tz=BERLIN), "once 2026-12-24T18:00", BERLIN),
        (Schedule.every("15 minutes"), "every 15 minutes", "UTC"),
        (Schedule.every(timedelta(minutes=90)), "every 90 minutes", "UTC"),
        (Schedule.parse("@daily", tz=BERLIN), "daily 00:00", BERLIN),
        (Schedule.daily("07:30").in_timezone(BERLIN), "daily 07:30", BERLIN),
        (every(5).minutes, "every 5 minutes", "UTC"),
        (every().minute, "every minute", "UTC"),
        (every(2).hours, "every 2 hours", "UTC"),
        (every().hour, "every hour", "UTC"),
        (every(30).seconds, "every 30 seconds", "UTC"),
        (every().second, "every second", "UTC"),
        (every().day.at("07:30", tz=BERLIN), "daily 07:30", BERLIN),
        (every().weekday.at("07:30"), "weekdays 07:30", "UTC"),
        (every().monday.at("09:00"), "weekly mon 09:00", "UTC"),
        (every().tuesday.at("09:00"), "weekly tue 09:00", "UTC"),
        (every().wednesday.at("09:00"), "weekly wed 09:00", "UTC"),
        (every().thursday.at("09:00"), "weekly thu 09:00", "UTC"),
        (every().friday.at("09:00"), "weekly fri 09:00", "UTC"),
        (every().saturday.at("09:00"), "weekly sat 09:00", "UTC"),
        (every().sunday.at("09:00", tz=NEW_YORK), "weekly sun 09:00", NEW_YORK),
    ],
)
def test_what_python_says_is_what_the_text_says(made: Schedule, text: str, timezone: str) -> None:
    seconds = "second" in text or len(text.split()) == 6

    assert (str(made.expression), made.timezone) == (text, timezone)
    assert made == Schedule.parse(text, tz=timezone, seconds=seconds)
    assert hash(made) == hash(Schedule.parse(text, tz=timezone, seconds=seconds))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Schedule.daily("7:30pm"), "24-hour clock"),
        (lambda: Schedule.daily("07:30", tz="europe/berlin"), "did you mean Europe/Berlin"),
        (lambda: Schedule.daily("07:30").in_timezone("Mars/Olympus"), "no IANA name"),
        (lambda: Schedule.weekly([], "07:30"), "takes 2 words"),
        (lambda: Schedule.weekly("1", "07:30"), "does not name weekdays"),
        (lambda: Schedule.monthly(0, "09:00"), "1 to 31"),
        (lambda: Schedule.monthly([1.5], "09:00"), "no day-of-month"),  # type: ignore[list-item]
        (lambda: Schedule.cron("0 9 13 * 5"), "'any' or 'all'"),
        (lambda: Schedule.cron("0 0 9 * * *"), "six fields"),
        (lambda: Schedule.cron("*/30 * * * *", tz=BERLIN), "write 'every 30 minutes'"),
        (lambda: Schedule.cron("*/30 * * * *").in_timezone(BERLIN), "write 'every 30 minutes'"),
        (lambda: Schedule.once(utc("2026-12-24T18:00")), "without an offset"),
        (lambda: Schedule.once(datetime.fromisoformat("2026-12-24T18:00:01")), "to the minute"),
        (lambda: Schedule.every(timedelta(milliseconds=1500)), "whole seconds"),
        (lambda: Schedule.every(timedelta(0)), "31 days"),
        (lambda: Schedule.every(timedelta(seconds=-60)), "whole number"),
        (lambda: Schedule.every("30 seconds"), "--seconds"),
        (lambda: every(0).minutes, "31 days"),
        (lambda: every(1.5).hours, "whole number"),  # type: ignore[arg-type]
        (lambda: every(2).monday, "days are not counted"),
        (lambda: every(2).day, "every(48).hours"),
        (lambda: every().monday.at("9"), "24-hour clock"),
    ],
)
def test_what_the_text_may_not_say_python_may_not_say_either(make: Callable[[], Schedule], said: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        make()

    assert said in str(caught.value)


def test_a_schedule_prints_as_english() -> None:
    assert str(Schedule.weekdays("07:30", tz=BERLIN)) == "every weekday at 07:30 Europe/Berlin"


def test_next_after_is_strictly_after_and_ends_where_the_schedule_ends() -> None:
    daily = Schedule.daily("02:30", tz=NEW_YORK)
    once = Schedule.once("2026-12-24T18:00", tz=BERLIN)

    assert next_after(daily, utc("2026-03-08T00:00")) == utc("2026-03-08T07:30")  # 03:30, since 02:30 does not exist
    assert next_after(daily, utc("2026-03-08T07:30")) == utc("2026-03-09T06:30")
    assert next_after(once, utc("2026-12-24T16:59")) == utc("2026-12-24T17:00")
    assert next_after(once, utc("2026-12-24T17:00")) is None


def test_something_is_due_once_a_slot_has_come_since_it_was_last_served() -> None:
    daily = Schedule.daily("07:30", tz=BERLIN)
    slot = utc("2026-07-01T05:30")

    assert not is_due(daily, slot - timedelta(hours=1), slot - timedelta(seconds=1))
    assert is_due(daily, slot - timedelta(hours=1), slot)
    assert is_due(daily, slot - timedelta(days=9), slot + timedelta(hours=3))
    assert not is_due(daily, slot, slot + timedelta(hours=3))


def test_what_was_never_served_is_due_as_soon_as_it_has_a_slot_in_the_past() -> None:
    once = Schedule.once("2026-12-24T18:00")

    assert not is_due(once, None, utc("2026-12-24T17:59"))
    assert is_due(once, None, utc("2026-12-24T18:00"))
    assert not is_due(once, utc("2026-12-24T18:00"), utc("2036-01-01T00:00"))


def test_a_time_that_comes_twice_is_due_once_and_one_that_never_comes_still_once() -> None:
    for at, start in (("01:30", "2026-10-31T12:00"), ("02:30", "2026-03-07T12:00")):
        schedule, last, served = Schedule.daily(at, tz=NEW_YORK), utc(start), 0
        for minute in range(2 * 24 * 60):
            now = utc(start) + timedelta(minutes=minute)
            if is_due(schedule, last, now):
                last, served = now, served + 1
        assert served == 2, at


def test_instants_may_be_in_any_zone_but_must_be_aware() -> None:
    tokyo = timezone(timedelta(hours=9))
    schedule = Schedule.daily("07:30")
    assert next_after(schedule, datetime(2026, 7, 1, 16, 0, tzinfo=tokyo)) == utc("2026-07-01T07:30")

    naive = datetime.fromisoformat("2026-07-01T07:30")
    for ask in (
        lambda: next_after(schedule, naive),
        lambda: is_due(schedule, None, naive),
        lambda: is_due(schedule, utc("2026-07-01T07:30"), naive),
        lambda: is_due(schedule, naive, utc("2026-07-01T07:30")),
    ):
        with pytest.raises(ValueError, match="aware"):
            ask()


TIMES = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda pair: f"{pair[0]:02d}:{pair[1]:02d}")
ZONES = st.sampled_from(["UTC", BERLIN, NEW_YORK, "Australia/Lord_Howe", "America/Nuuk"])
NAMES = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, max_size=7)
MADE = st.one_of(
    st.builds(lambda at, tz: Schedule.daily(at, tz=tz), TIMES, ZONES),
    st.builds(lambda at, tz: Schedule.weekdays(at, tz=tz), TIMES, ZONES),
    st.builds(lambda days, at, tz: Schedule.weekly(days, at, tz=tz), NAMES, TIMES, ZONES),
    st.builds(
        lambda days, at, tz: Schedule.monthly(days, at, tz=tz),
        st.lists(st.integers(1, 31), min_size=1) | st.just("last") | st.integers(1, 31),
        TIMES,
        ZONES,
    ),
    st.builds(
        lambda at, tz: Schedule.once(at.replace(second=0, microsecond=0), tz=tz),
        st.datetimes(datetime.fromisoformat("1970-01-02"), datetime.fromisoformat("9800-01-01")),
        ZONES,
    ),
    st.integers(1, 744).map(lambda hours: every(hours).hours),
    st.integers(1, 44640).map(lambda minutes: every(minutes).minutes),
    st.integers(1, 2678400).map(lambda seconds: every(seconds).seconds),
)


@given(MADE, st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2050-01-01")))
@settings(max_examples=300, deadline=None)
def test_any_schedule_made_in_python_round_trips_through_its_text(made: Schedule, after: datetime) -> None:
    again = Schedule.parse(str(made.expression), tz=made.timezone, seconds=True)
    start = after.replace(tzinfo=UTC)

    assert again == made
    assert str(again.expression) == str(made.expression)
    assert next_after(again, start) == next_after(made, start)
    assert [next_after(made, start)] == [
        slot.due_at for slot in next_slots(parse(str(made.expression), seconds=True), made.timezone, start, 1)
    ] or next_after(made, start) is None
