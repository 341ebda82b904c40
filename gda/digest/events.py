"""A report of calendar changes as values: in which order, in which words. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gda.novelty import Change, ChangeKind, Moment, instant_of
from gda.schedule import zone

from .dates import greeting, long_date, nominal, short_date
from .model import Recipient

MAX_EVENTS = 50
"""Gmail clips a mail past 102 kB; a listed change takes about 1.5 kB."""

MAX_CONFLICTS = 3

_TITLES = {
    ChangeKind.NEW: "New",
    ChangeKind.MOVED: "Moved",
    ChangeKind.CANCELLED: "Cancelled",
    ChangeKind.CONFLICTING: "Now in conflict",
}


@dataclass(frozen=True, slots=True)
class EventRow:
    """One change; every text is one safe line, not yet escaped, and every time is the recipient's own.

    ``was`` is the time that no longer holds, ``note`` says how many dates are meant, ``more`` counts conflicts beyond
    those listed, ``calendar`` is empty for the user's own.
    """

    fingerprint: str
    title: str
    when: str
    was: str
    note: str
    location: str
    url: str
    calendar: str
    conflicts: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class EventSection:
    """A heading and its changes, the first to come first; ``hidden`` ones are counted, not listed."""

    key: str
    title: str
    rows: tuple[EventRow, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class EventReport:
    """Everything a template needs; ``date``, ``time`` and ``greeting`` are in the recipient's own timezone."""

    recipient: Recipient
    date: str
    time: str
    greeting: str
    sections: tuple[EventSection, ...]
    total: int
    conflicts: int


def compose_events(
    changes: Iterable[Change],
    *,
    recipient: Recipient,
    label: str,
    now: datetime,
    calendars: Mapping[str, str],
    max_events: int = MAX_EVENTS,
) -> EventReport:
    """Arrange changes for a recipient; the same input gives the same report.

    Args:
        changes: what is told, each once.
        recipient: whose timezone days and times are said in.
        label: the nominal local slot, or nothing.
        now: when the calendars were read, aware; the report's time where the label names none.
        calendars: names of the calendars beside the user's own, by id.
        max_events: how many are listed; the rest is counted.
    """
    local = nominal(label) or now.astimezone(zone(recipient.timezone))
    ordered = sorted(changes, key=lambda change: (instant_of(change.start, recipient.timezone), change.title))
    sections, left = [], max_events
    for kind, title in _TITLES.items():
        members = [change for change in ordered if change.kind is kind]
        shown = members[: max(left, 0)]
        left -= len(shown)
        rows = tuple(_row(change, recipient.timezone, local.date(), calendars) for change in shown)
        if members:
            sections.append(EventSection(str(kind), title, rows, len(members) - len(shown)))
    conflicts = sum(bool(change.conflicts) for change in ordered)
    told = long_date(local), f"{local:%H:%M}", greeting(local.hour)
    return EventReport(recipient, *told, tuple(sections), len(ordered), conflicts)


def said(start: Moment, end: Moment, timezone: str, today: date) -> str:
    """When an event is, in words: ``Thu 12 Mar, 14:00 to 15:00``, ``Sat 21 Mar to Sun 22 Mar, all day``."""
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return _days(start, end, today)
    begins, ends = (instant_of(moment, timezone).astimezone(zone(timezone)) for moment in (start, end))
    until = f"{ends:%H:%M}" if ends.date() == begins.date() else f"{short_date(ends, today)}, {ends:%H:%M}"
    span = "" if begins == ends else f" to {until}"
    return f"{short_date(begins, today)}, {begins:%H:%M}{span}"


def _days(start: date, end: date, today: date) -> str:
    last = end - timedelta(days=1)
    return short_date(start, today) + (f" to {short_date(last, today)}" if last > start else "") + ", all day"


def _row(change: Change, timezone: str, today: date, calendars: Mapping[str, str]) -> EventRow:
    return EventRow(
        fingerprint=change.fingerprint,
        title=change.title,
        when=said(change.start, change.end, timezone, today),
        was=said(*change.was, timezone, today) if change.was else "",
        note=f"first of {change.count} dates" if change.count > 1 else "",
        location=change.location,
        url=change.url,
        calendar=calendars.get(change.calendar, ""),
        conflicts=change.conflicts[:MAX_CONFLICTS],
        more=max(len(change.conflicts) - MAX_CONFLICTS, 0),
    )
