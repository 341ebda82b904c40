"""Schedules in English, and the preview of what clock changes do to them."""

from datetime import UTC, datetime

import pytest

from gda.schedule import PreviewRow, describe, parse, preview


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("daily 07:30", "every day at 07:30 Europe/Berlin"),
        ("30 7 * * 1-5", "every weekday at 07:30 Europe/Berlin"),
        ("weekly sun,mon,thu 07:30", "every Monday, Thursday and Sunday at 07:30 Europe/Berlin"),
        ("monthly 1 09:00", "on day 1 of every month at 09:00 Europe/Berlin"),
        ("monthly 1,31 09:00", "on days 1 and 31 of every month (where the month has it) at 09:00 Europe/Berlin"),
        ("monthly last 09:00", "on the last day of every month at 09:00 Europe/Berlin"),
        ("every 15 minutes", "every 15 minutes, counted in UTC"),
        ("once 2026-12-24T18:00", "once, on Thursday 24 December 2026 at 18:00 Europe/Berlin"),
        ("0 9 13 * 5 all", "at 09:00 on the 13th day of every month, if that is a Friday Europe/Berlin"),
        ("0 9 13 * 5 any", "at 09:00 on the 13th day of every month, or on any Friday Europe/Berlin"),
        ("0 9 * * L5", "at 09:00 on the last Friday of the month Europe/Berlin"),
        ("0 9 29 2 *", "at 09:00 on February 29 Europe/Berlin"),
    ],
)
def test_a_schedule_reads_as_english(text: str, english: str) -> None:
    assert describe(parse(text), "Europe/Berlin") == english


def rows(text: str, tz: str, after: str, n: int) -> list[PreviewRow]:
    return preview(parse(text), tz, datetime.fromisoformat(after).replace(tzinfo=UTC), n)


def test_a_preview_shows_offsets_and_a_missing_time() -> None:
    assert rows("daily 02:30", "America/New_York", "2026-03-07T00:00", 3) == [
        PreviewRow("2026-03-07T02:30", "2026-03-07T02:30:00-05:00", "2026-03-07T07:30:00Z", ""),
        PreviewRow(
            "2026-03-08T02:30",
            "2026-03-08T03:30:00-04:00",
            "2026-03-08T07:30:00Z",
            "02:30 does not exist on 8 March: runs 03:30",
        ),
        PreviewRow("2026-03-09T02:30", "2026-03-09T02:30:00-04:00", "2026-03-09T06:30:00Z", ""),
    ]


def test_a_preview_explains_a_repeated_time_a_missing_day_and_a_merge() -> None:
    (fold,) = rows("daily 01:30", "America/New_York", "2026-11-01T00:00", 1)
    (missing,) = rows("weekly fri 09:00", "Pacific/Apia", "2011-12-26T00:00", 1)
    merged, _ = rows("0 2,3 * * *", "America/New_York", "2026-03-08T00:00", 2)
    (nuuk,) = rows("weekly sat 23:30", "America/Nuuk", "2026-03-28T00:00", 1)

    assert fold.note == "01:30 happens twice on 1 November: runs the first time"
    assert missing.note == "30 December 2011 does not exist: runs 09:00 on 31 December"
    assert merged.note == "02:00 does not exist on 8 March: merged into 2026-03-08T03:00, which runs once"
    assert nuuk.note == "23:30 does not exist on 28 March: runs 00:30 on 29 March"
