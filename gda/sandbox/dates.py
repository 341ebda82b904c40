"""From events of a calendar file to Google's JSON: one item per date, series written out."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from gda.errors import UsageError
from gda.sandbox.ics import CalendarFile, FileEvent, When
from gda.schedule import resolve, zone

Item = dict[str, Any]
BEHIND, AHEAD = timedelta(days=31), timedelta(days=400)
"""Dates of a series are written out from so long before it is loaded until so long after."""

_UNTIL = re.compile(r"UNTIL=(\d{8}T\d{6})Z", re.IGNORECASE)
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}


def items_of(file: CalendarFile, account: str, *, now: datetime) -> Iterator[Item]:
    """The items of a calendar as ``events.list`` gives them with ``singleEvents``.

    Args:
        file: the calendar.
        account: the address whose calendar it is; its answers to invitations count.
        now: when it is loaded, aware.

    Raises:
        UsageError: a rule cannot be read.
    """
    replaced: dict[str, dict[When, FileEvent]] = {}
    for event in file.events:
        if event.replaces is not None:
            replaced.setdefault(event.uid, {})[event.replaces] = event
    for event in file.events:
        if event.replaces is not None:
            continue
        if not event.rule:
            yield _item(event, account, event_id(event.uid), now)
            continue
        others = replaced.get(event.uid, {})
        for start in _dates(event, now):
            yield _date(event, others.get(start), start, account, now)


def event_id(uid: str) -> str:
    """An id as Google makes them: letters and digits, equal for copies of one event."""
    return sha256(uid.encode()).hexdigest()[:26]


def when_json(moment: When, timezone: str) -> dict[str, str]:
    """A start or an end; a time that clocks leave out is the one after the gap."""
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()}
    instant = resolve(moment, timezone).instant.astimezone(zone(timezone))
    return {"dateTime": instant.isoformat(), "timeZone": timezone}


def instant(when: dict[str, str], timezone: str) -> datetime:
    """A start or an end as an aware instant; days begin at midnight of the calendar's zone."""
    if "dateTime" in when:
        return datetime.fromisoformat(when["dateTime"])
    return resolve(datetime.fromisoformat(when["date"]), timezone).instant


def later(when: dict[str, str], by: timedelta) -> dict[str, str]:
    """A start or an end, so much later by the clock on the wall; a day is moved by whole days."""
    if "date" in when:
        return when_json(date.fromisoformat(when["date"]) + timedelta(days=round(by / timedelta(days=1))), "")
    wall = datetime.fromisoformat(when["dateTime"]).replace(tzinfo=None)
    return when_json(wall + by, when["timeZone"])


def date_id(series: str, original: dict[str, str]) -> str:
    """The id of one date of a series: it keeps it when it is moved."""
    if "date" in original:
        return f"{series}_{original['date'].replace('-', '')}"
    return f"{series}_{datetime.fromisoformat(original['dateTime']).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _date(series: FileEvent, other: FileEvent | None, start: When, account: str, now: datetime) -> Item:
    base, original = event_id(series.uid), when_json(start, series.timezone)
    shown = other or series
    item = _item(shown, account, date_id(base, original), now)
    if other is None:
        item["start"] = original
        item["end"] = when_json(start + series.length, series.timezone)
    if start in series.excluded:
        item["status"] = "cancelled"
    return {**item, "recurringEventId": base, "originalStartTime": original}


def _item(event: FileEvent, account: str, key: str, now: datetime) -> Item:
    created = event.created or now
    item: Item = {
        "kind": "calendar#event",
        "id": key,
        "iCalUID": event.uid,
        "status": "cancelled" if event.cancelled else "confirmed",
        "summary": event.summary,
        "htmlLink": f"https://calendar.google.com/calendar/event?eid={key}",
        "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "start": when_json(event.start, event.timezone),
        "end": when_json(event.end, event.timezone),
        "eventType": "default",
    }
    if event.location:
        item["location"] = event.location
    if event.transparent:
        item["transparency"] = "transparent"
    if event.answers:
        item["attendees"] = [
            {"email": who, "responseStatus": _ANSWERS.get(answer, "needsAction")}
            | ({"self": True} if who == account else {})
            for who, answer in event.answers.items()
        ]
    return item


def _dates(event: FileEvent, now: datetime) -> Iterator[When]:
    place = zone(event.timezone)
    today = now.astimezone(place).replace(tzinfo=None)
    first = event.start if isinstance(event.start, datetime) else datetime.combine(event.start, datetime.min.time())
    try:
        rule = rrulestr(_UNTIL.sub(lambda until: f"UNTIL={_local(until[1], place)}", event.rule), dtstart=first)
    except ValueError as error:
        raise UsageError(f"RRULE {event.rule!r} cannot be read: {error}") from None
    for start in rule.between(today - BEHIND, today + AHEAD, inc=True):
        yield start if isinstance(event.start, datetime) else date(start.year, start.month, start.day)


def _local(until: str, place: ZoneInfo) -> str:
    instant = datetime.strptime(until, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return f"{instant.astimezone(place):%Y%m%dT%H%M%S}"
