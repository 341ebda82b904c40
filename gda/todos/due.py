"""Due dates: an instant, or a day, which means the end of that day where the user lives."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from gda.errors import UsageError
from gda.schedule import resolve, slot_name, zone

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FIRST_YEAR, LAST_YEAR = 1970, 9000


@dataclass(frozen=True, slots=True)
class Due:
    """When something is due: ``at`` (aware, UTC); ``day`` (``2026-01-31``) where only the day was said, else None."""

    at: datetime
    day: str | None = None


def due_on(nominal: str, timezone: str) -> Due:
    """What a time on the user's wall means.

    Args:
        nominal: a day (``2026-01-31``), due at its end, or a local time (``2026-01-31T09:00``). A time that does not
            exist, or exists twice, is read as everywhere in GDA (``gda.schedule.resolve``).
        timezone: the user's IANA name.

    Raises:
        UsageError: it is neither.
    """
    moment = _read(nominal)
    if isinstance(moment, datetime):
        return Due(resolve(moment, timezone).instant)
    midnight = datetime.combine(moment + timedelta(days=1), time())
    return Due(resolve(midnight, timezone).instant, moment.isoformat())


def read_due(text: str, timezone: str) -> Due:
    """A due date as a person types it.

    Args:
        text: a day, a local time, or an instant with an offset (``2026-01-31T09:00+01:00``, ``...Z``).
        timezone: the user's IANA name, for the first two.

    Raises:
        UsageError: it is none of these.
    """
    moment = _read(text)
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return Due(moment.astimezone(UTC))
    return due_on(text, timezone)


def nominal_of(due: Due, timezone: str) -> str:
    """A due date as the user's calendar and clock say it; ``due_on`` reads it back."""
    return due.day or slot_name(due.at.astimezone(zone(timezone)).replace(microsecond=0))


def _read(text: str) -> date | datetime:
    try:
        moment = date.fromisoformat(text) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text[:40]!r} is no date: write a day as 2026-01-31, or a time as 2026-01-31T09:00"
        ) from None
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise UsageError(f"{text!r}: the year must lie from {FIRST_YEAR} to {LAST_YEAR - 1}")
    return moment
