"""How one event is judged by itself: what both single events and dates of a series have in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gda.novelty.model import BUSY, DECLINED, Change, ChangeKind, Event, Moment, Seen, instant_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to tell the user, what to remember, and the ids of what to forget."""

    changes: tuple[Change, ...] = ()
    remember: tuple[Seen, ...] = ()
    forget: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """By what events are judged: the instant, the user's timezone, and from when on new events are told."""

    now: datetime
    timezone: str
    told_since: datetime | None

    def over(self, end: Moment) -> bool:
        """Whether this end is past."""
        return instant_of(end, self.timezone) <= self.now

    def tells(self, event: Event) -> bool:
        """Whether an event that was not seen before is to be told, were it alone."""
        if event.stance == DECLINED or self.over(event.end):
            return False
        return self.told_since is None or (event.created is not None and event.created >= self.told_since)


def told_of(event: Event, known: Seen | None, view: View) -> Change | None:
    """What to tell of a live event, or of a live date of a series, by itself."""
    if known is None:
        return change_of(ChangeKind.NEW, event) if view.tells(event) else None
    if event.stance == DECLINED or (view.over(event.end) and view.over(known.end)):
        return None
    if (known.start, known.end) != (event.start, event.end):
        return change_of(ChangeKind.MOVED, event, was=(known.start, known.end))
    if event.stance == BUSY != known.stance:
        return change_of(ChangeKind.CONFLICTING, event)
    return None


def change_of(kind: ChangeKind, event: Event, *, was: tuple[Moment, Moment] | None = None, count: int = 1) -> Change:
    """A change as its event tells it."""
    return Change(
        kind,
        event.calendar,
        event.uid,
        event.title,
        event.start,
        event.end,
        event.stance,
        was,
        count,
        event.location,
        event.url,
    )


def cancelled(known: Seen, view: View) -> tuple[Change, ...]:
    """What to tell of a remembered event that is gone."""
    if known.stance == DECLINED or view.over(known.end):
        return ()
    return (Change(ChangeKind.CANCELLED, known.calendar, known.uid, known.title, known.start, known.end, known.stance),)


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict of many; what one remembers no other forgets."""
    changes: list[Change] = []
    remember: dict[str, Seen] = {}
    forget: dict[str, None] = {}
    for verdict in verdicts:
        changes += verdict.changes
        remember |= {seen.id: seen for seen in verdict.remember}
        forget |= dict.fromkeys(verdict.forget)
    return Verdict(tuple(changes), tuple(remember.values()), tuple(key for key in forget if key not in remember))
