"""Which news overlap something else that the user is busy with."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gda.novelty.model import BUSY, Change, ChangeKind, Event, instant_of, moment_text

HORIZON = timedelta(days=60)
"""News that begin later are not compared: who plans further ahead looks again, and the calendar stays cheap to ask."""


def agenda_span(changes: Iterable[Change], *, now: datetime, timezone: str) -> tuple[datetime, datetime] | None:
    """From when to when (aware) a calendar must be read to find every conflict; None where nothing can conflict."""
    spans = [_span(change, timezone) for change in changes if _may_conflict(change, now, timezone)]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def with_conflicts(
    changes: Iterable[Change], agenda: Sequence[Event], *, now: datetime, timezone: str
) -> tuple[Change, ...]:
    """The changes with the titles of what they overlap.

    Two events conflict when they share some time and the user is busy with both: neither free nor declined. One that
    begins when another ends does not; an all-day event is the user's own day, midnight to midnight. Copies of one event
    in several calendars do not conflict, and what is new in a series is compared by its first date.

    Args:
        changes: what is to be told; ``CONFLICTING`` ones that conflict with nothing are left out.
        agenda: every date in the span that ``agenda_span`` gave, of all the user's calendars.
        now: aware.
        timezone: the user's.
    """
    busy = [event for event in agenda if event.stance == BUSY and not event.cancelled]
    spans = [(instant_of(event.start, timezone), instant_of(event.end, timezone), event) for event in busy]
    spans.sort(key=lambda span: (span[0], span[2].title, span[2].id))
    found = []
    for change in changes:
        titles = _overlapping(change, spans, timezone) if _may_conflict(change, now, timezone) else ()
        if titles or change.kind is not ChangeKind.CONFLICTING:
            found.append(replace(change, conflicts=titles))
    return tuple(found)


def _overlapping(change: Change, spans: Sequence[tuple[datetime, datetime, Event]], timezone: str) -> tuple[str, ...]:
    start, end = _span(change, timezone)
    others = {
        (event.uid, moment_text(event.start)): event.title
        for begin, over, event in spans
        if begin < end and start < over and not (event.uid == change.uid and begin == start)
    }
    return tuple(others.values())


def _may_conflict(change: Change, now: datetime, timezone: str) -> bool:
    start, end = _span(change, timezone)
    return change.kind is not ChangeKind.CANCELLED and change.stance == BUSY and end > now and start < now + HORIZON


def _span(change: Change, timezone: str) -> tuple[datetime, datetime]:
    return instant_of(change.start, timezone), instant_of(change.end, timezone)
