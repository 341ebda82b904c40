"""Quiet hours: when a user wants to hear nothing, decided purely from the clock on the user's wall."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from gda.errors import UsageError
from gda.schedule.zone import resolve, zone

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` (naive local times); over midnight where ``end`` is the earlier."""

    start: time
    end: time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def read_quiet(text: str) -> QuietHours:
    """Read ``22:00-07:00``. Raises UsageError for anything else, and for hours that never end."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"quiet hours {text!r} are not understood: write them as 22:00-07:00, or off")
    start, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    if start == end:
        raise UsageError(f"quiet hours {text!r} would never end: give two different times")
    return QuietHours(start, end)


def quiet_until(now: datetime, quiet: QuietHours | None, timezone: str) -> datetime | None:
    """When the quiet hours that ``now`` lies in end, or None outside of them.

    Both ends are resolved as schedules are (DESIGN 5): a time that a clock change skips comes at the same elapsed
    position after the gap, one that exists twice the first time. So a night has one beginning and one end, and is an
    hour longer or shorter where the clocks change in it.

    Args:
        now: aware.
        quiet: the user's; None: never.
        timezone: the user's, an IANA name.

    Returns:
        An aware instant in UTC, later than ``now``.
    """
    if quiet is None:
        return None
    today = now.astimezone(zone(timezone)).date()
    # Yesterday's may still last; tomorrow's may have begun where a whole day is missing.
    for first in (today - _DAY, today, today + _DAY):
        begins, ends = _night(quiet, first, timezone)
        if begins <= now < ends:
            return ends
    return None


def _night(quiet: QuietHours, first: date, timezone: str) -> tuple[datetime, datetime]:
    last = first + _DAY if quiet.end < quiet.start else first
    begins = resolve(datetime.combine(first, quiet.start), timezone).instant
    return begins.astimezone(UTC), resolve(datetime.combine(last, quiet.end), timezone).instant.astimezone(UTC)
