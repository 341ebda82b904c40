"""Quiet hours: over midnight, within a day, and through nights in which the clocks change."""

from datetime import UTC, datetime, timedelta

import pytest

from gda.errors import UsageError
from gda.notify.quiet import quiet_until, read_quiet

BERLIN, NEW_YORK, APIA = "Europe/Berlin", "America/New_York", "Pacific/Apia"


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "zone", "now", "ends"),
    [
        ("22:00-07:00", BERLIN, "2026-01-10T20:59:59", None),
        ("22:00-07:00", BERLIN, "2026-01-10T21:00:00", "2026-01-11T06:00:00"),
        ("22:00-07:00", BERLIN, "2026-01-11T05:59:59", "2026-01-11T06:00:00"),
        ("22:00-07:00", BERLIN, "2026-01-11T06:00:00", None),
        ("12:30-14:00", NEW_YORK, "2026-07-01T16:30:00", "2026-07-01T18:00:00"),
        ("12:30-14:00", NEW_YORK, "2026-07-01T18:00:00", None),
        # The night of the change is an hour shorter in spring, and an hour longer in autumn.
        ("22:00-07:00", BERLIN, "2026-03-28T21:00:00", "2026-03-29T05:00:00"),
        ("22:00-07:00", BERLIN, "2026-10-24T20:00:00", "2026-10-25T06:00:00"),
        # 02:30 does not exist on 29 March: it comes an hour later on the wall, as a schedule's would.
        ("22:00-02:30", BERLIN, "2026-03-29T01:15:00", "2026-03-29T01:30:00"),
        ("22:00-02:30", BERLIN, "2026-03-29T01:30:00", None),
        ("02:30-04:00", BERLIN, "2026-03-29T01:15:00", None),
        ("02:30-04:00", BERLIN, "2026-03-29T01:30:00", "2026-03-29T02:00:00"),
        # 02:30 comes twice on 25 October: the first ends the quiet, and the second does not begin it anew.
        ("22:00-02:30", BERLIN, "2026-10-25T00:29:00", "2026-10-25T00:30:00"),
        ("22:00-02:30", BERLIN, "2026-10-25T01:15:00", None),
        ("02:30-04:00", BERLIN, "2026-10-25T01:15:00", "2026-10-25T03:00:00"),
        # Samoa had no 30 December 2011: what ends on that day ends as late as a slot of it.
        ("22:00-07:00", APIA, "2011-12-30T08:00:00", "2011-12-30T17:00:00"),
        ("22:00-07:00", APIA, "2011-12-30T17:00:00", None),
    ],
)
def test_quiet_hours_end_when_the_clock_on_the_wall_says_so(hours, zone, now, ends):
    assert quiet_until(instant(now), read_quiet(hours), zone) == (instant(ends) if ends else None)


def test_without_quiet_hours_it_is_never_quiet():
    assert quiet_until(instant("2026-01-10T23:00:00"), None, BERLIN) is None


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, APIA, "Australia/Lord_Howe", "UTC"])
def test_each_quiet_time_has_an_end_at_which_it_is_not_quiet(zone):
    hours = read_quiet("22:00-07:00")
    for quarter in range(4 * 24 * 366):
        now = instant("2011-01-01T00:00:00") + timedelta(minutes=15 * quarter)
        until = quiet_until(now, hours, zone)
        if until is not None:
            assert timedelta(0) < until - now <= timedelta(hours=34)
            assert quiet_until(until, hours, zone) is None


@pytest.mark.parametrize("text", ["", "22-07", "24:00-07:00", "22:00-07:60", "22:00", "22:00-07:00,12:00-13:00"])
def test_hours_that_cannot_be_read_are_refused(text):
    with pytest.raises(UsageError, match="write them as 22:00-07:00"):
        read_quiet(text)


def test_hours_that_never_end_are_refused():
    with pytest.raises(UsageError, match="would never end"):
        read_quiet("07:00-07:00")
