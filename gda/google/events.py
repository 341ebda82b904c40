"""What Calendar's JSON says of calendars and events, as values; what is wrong with it is said without quoting it.

Source of the fields: developers.google.com/calendar/api/v3/reference/events.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from gda.errors import InvalidSchedule
from gda.google.messages import Malformed
from gda.novelty import Event, Moment
from gda.novelty.model import BUSY, DECLINED, FREE
from gda.schedule import resolve

_READERS = ("owner", "writer", "reader")
# Where somebody works is no appointment, and blocks no time.
_SILENT_TYPES = ("workingLocation",)
_BREAKS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]+")
LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class CalendarRef:
    """A calendar that the user shows.

    ``primary`` is the one that the account came with, ``own`` one that belongs to the user; others are only read.
    """

    id: str = field(repr=False)
    name: str = field(repr=False)
    primary: bool
    own: bool


def read_calendars(items: object) -> list[CalendarRef]:
    """Read a page of ``calendarList.list``: those that are shown and may be read in full.

    Raises:
        Malformed: an entry without an id.
    """
    try:
        entries = [entry for entry in _list(items) if _is_shown(entry)]
        return [
            CalendarRef(
                _text(entry["id"]),
                _line(entry.get("summaryOverride") or entry.get("summary")),
                entry.get("primary") is True,
                entry["accessRole"] == "owner",
            )
            for entry in entries
        ]
    except (KeyError, TypeError, AttributeError):
        raise Malformed("a listed calendar has no id") from None


def read_events(calendar: str, items: object) -> list[Event]:
    """Read a page of ``events.list``.

    Args:
        calendar: whose events these are.
        items: the page's.

    Raises:
        Malformed: an event without an id, or one that was not cancelled without a time.
    """
    try:
        return [_event(calendar, item) for item in _list(items) if item.get("eventType") not in _SILENT_TYPES]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Malformed("a listed event lacks its id or its time, or holds one that is none") from None


def _is_shown(entry: Mapping[str, Any]) -> bool:
    # Google leaves out what is false.
    hidden = entry.get("hidden") is True or entry.get("deleted") is True
    return not hidden and entry.get("selected") is True and entry.get("accessRole") in _READERS


def _event(calendar: str, item: Mapping[str, Any]) -> Event:
    key = _text(item["id"])
    cancelled = item.get("status") == "cancelled"
    original = item.get("originalStartTime")
    values: dict[str, Any] = {
        "calendar": calendar,
        "id": key,
        "uid": _line(item.get("iCalUID")) or key,
        "cancelled": cancelled,
        "series": _text(item.get("recurringEventId", "")),
        "original": _moment(original) if original is not None else None,
    }
    if cancelled:
        # A cancelled event may hold nothing but its ids; what it was is remembered.
        return Event(**values)
    return Event(
        **values,
        title=_line(item.get("summary")) or "(no title)",
        start=_moment(item["start"]),
        end=_moment(item["end"]),
        stance=_stance(item),
        location=_line(item.get("location")),
        url=_link(item.get("htmlLink")),
        created=_instant(item.get("created")),
    )


def _stance(item: Mapping[str, Any]) -> str:
    people = [person for person in _list(item.get("attendees")) if person.get("self") is True]
    if any(person.get("responseStatus") == "declined" for person in people):
        return DECLINED
    return FREE if item.get("transparency") == "transparent" else BUSY


def _moment(value: Mapping[str, Any]) -> Moment:
    if "dateTime" not in value:
        return date.fromisoformat(value["date"])
    written = datetime.fromisoformat(value["dateTime"])
    if written.tzinfo is not None or not value.get("timeZone"):
        return written
    try:
        return resolve(written, _text(value["timeZone"])).instant
    except InvalidSchedule:
        # A zone that only the sender's program knows says nothing: the time is meant where the user is.
        return written


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    instant = datetime.fromisoformat(value)
    return instant if instant.tzinfo is not None else None


def _link(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"https?://[\x21-\x7e]{1,2000}", value) else ""


def _line(value: object) -> str:
    text = _BREAKS.sub(" ", value).strip() if isinstance(value, str) else ""
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise TypeError
    return value or []


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
