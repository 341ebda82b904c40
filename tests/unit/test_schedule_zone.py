"""Timezones: which data is used, which names are refused, and when a local time is due."""

from datetime import UTC, datetime

import pytest

from gda.errors import InvalidSchedule
from gda.schedule import resolve, tzdata_version, zone, zone_names


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


# Measured on Prefect 3.9.1's cron, whose reading (the same elapsed position after a gap, the first of two) is GDA's.
AWKWARD = [
    # zone, nominal local time, where it is due as the clock then shows, note
    ("America/New_York", "2026-03-08T02:30", "2026-03-08T03:30-04:00", "gap"),
    ("America/New_York", "2026-03-08T03:00", "2026-03-08T03:00-04:00", ""),
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T01:30-04:00", "fold"),
    ("America/New_York", "2026-11-01T02:00", "2026-11-01T02:00-05:00", ""),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:45+11:00", "gap"),
    ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-05T01:45+11:00", "fold"),
    ("Antarctica/Troll", "2026-03-29T02:30", "2026-03-29T04:30+02:00", "gap"),
    ("America/Havana", "2025-03-09T00:00", "2025-03-09T01:00-04:00", "gap"),
    ("Asia/Beirut", "2026-03-29T00:30", "2026-03-29T01:30+03:00", "gap"),
    ("Africa/Cairo", "2026-04-24T00:00", "2026-04-24T01:00+03:00", "gap"),
    ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T23:30+03:00", "fold"),
    ("America/Nuuk", "2026-03-28T23:30", "2026-03-29T00:30-01:00", "gap"),
    ("Pacific/Apia", "2011-12-30T09:00", "2011-12-31T09:00+14:00", "missing-day"),
    ("Pacific/Kwajalein", "1993-08-21T09:00", "1993-08-22T09:00+12:00", "missing-day"),
    ("Asia/Manila", "1844-12-31T09:00", "1845-01-01T09:00+08:03", "missing-day"),
    ("America/Caracas", "2016-05-01T02:45", "2016-05-01T03:15-04:00", "gap"),
    ("Asia/Pyongyang", "2018-05-04T23:45", "2018-05-05T00:15+09:00", "gap"),
    ("Africa/Casablanca", "2024-03-10T02:30", "2024-03-10T02:30+01:00", "fold"),
    ("UTC", "2026-03-08T02:30", "2026-03-08T02:30+00:00", ""),
]


@pytest.mark.parametrize(("name", "nominal", "shown", "note"), AWKWARD)
def test_a_local_time_is_due_by_the_offset_from_before_a_change(name: str, nominal: str, shown: str, note: str) -> None:
    resolved = resolve(local(nominal), name)

    assert resolved.note == note
    assert resolved.instant.tzinfo is UTC
    assert resolved.instant.astimezone(zone(name)).isoformat(timespec="minutes")[:22] == shown


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("", ["empty", "Europe/Berlin"]),
        ("GMT+5", ["offset", "name a place"]),
        ("+02:00", ["offset", "name a place"]),
        ("UTC+2", ["offset", "name a place"]),
        ("europe/berlin", ["capitals count", "did you mean Europe/Berlin?"]),
        ("Europe/Berln", ["no IANA name", "Europe/Berlin"]),
        ("Berlin", ["no IANA name", "Europe/Berlin"]),
        ("New York", ["no IANA name", "America/New_York"]),
        ("Mars/Olympus", ["no IANA name", "name a place"]),
        ("../../etc/passwd", ["no IANA name", "name a place"]),
        ("Europe/Berlin\n", ["no IANA name", "Europe/Berlin"]),
        ("Europe", ["no IANA name"]),
        ("Z" * 500, ["no IANA name"]),
    ],
)
def test_a_name_that_is_no_iana_name_is_refused_with_advice(name: str, fragments: list[str]) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        zone(name)

    message = str(caught.value)
    assert all(fragment in message for fragment in fragments), message
    assert len(message) < 300


def test_every_zone_of_the_pinned_package_loads_and_is_read_once() -> None:
    zones = [zone(name) for name in sorted(zone_names())]

    assert len(zones) > 590
    assert zone("Europe/Berlin") is zone("Europe/Berlin")
    assert str(zone("Europe/Berlin")) == "Europe/Berlin"


def test_the_pinned_package_decides_and_says_its_version() -> None:
    # British Columbia stays on UTC-7 since autumn 2026; system copies up to 2025b still say UTC-8 for this noon.
    assert tzdata_version() >= "2026a"
    assert resolve(local("2026-12-01T12:00"), "America/Vancouver").instant == datetime(2026, 12, 1, 19, tzinfo=UTC)
