"""What a calendar report is about: all that changed in a user's calendars since the last confirmed one, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gda.errors import Gone
from gda.google.calendar import Calendar
from gda.google.events import CalendarRef
from gda.novelty import Change, Listing, Verdict, agenda_span, decide, with_conflicts
from gda.store import CalendarMemory, CalendarStep

FIRST_WINDOW = timedelta(hours=24)
"""The first report of a calendar tells what was made in so long before it was due, as the first digest does."""

ZONES_APART = timedelta(days=2)
"""Google ends a day where the calendar is, GDA where the user is: listings reach so much further than what is told."""


@dataclass(frozen=True, slots=True)
class News:
    """Changes as the first attempt found them, and what is remembered once they are delivered.

    ``calendars`` names those beside the user's own, by id.
    """

    changes: tuple[Change, ...]
    calendars: Mapping[str, str]
    step: CalendarStep

    def to_json(self) -> dict[str, Any]:
        """A plain dict for the effect journal."""
        return {
            "changes": [change.to_json() for change in self.changes],
            "calendars": dict(self.calendars),
            "step": self.step.to_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "News":
        """What ``to_json`` wrote."""
        changes = tuple(Change.from_json(each) for each in content["changes"])
        return cls(changes, content["calendars"], CalendarStep.from_json(content["step"]))


async def gather(calendar: Calendar, memory: CalendarMemory, *, due_at: datetime, now: datetime, timezone: str) -> News:
    """Read every calendar from where the last report ended, and judge what changed.

    Args:
        calendar: the user's.
        memory: what the schedule's reports have told; empty before the first.
        due_at: when the occurrence was due (aware); the first report looks back from it.
        now: the store's instant (aware); what is over by then is not told.
        timezone: the user's.

    Returns:
        The changes, copies of one event in several calendars once, and what to remember after they are told.

    Raises:
        ProviderError: a calendar could not be read.
    """
    listed = sorted(await calendar.calendars(), key=lambda ref: (not ref.primary, not ref.own))
    since = due_at - FIRST_WINDOW
    tokens, verdicts = dict[str, str](), dict[str, Verdict]()
    for ref in listed:
        known = memory.tokens.get(ref.id)
        try:
            synced = await calendar.sync(ref.id, known, since=now - ZONES_APART)
        except Gone:
            # It went away after it was listed; its events are nobody's any more.
            continue
        tokens[ref.id] = synced.token
        verdicts[ref.id] = decide(
            Listing(ref.id, synced.events, synced.whole),
            memory.seen.get(ref.id, {}),
            now=now,
            timezone=timezone,
            told_since=since if known is None else None,
        )
    changes = _once(change for verdict in verdicts.values() for change in verdict.changes)
    step = CalendarStep(
        now,
        tokens,
        tuple(seen for verdict in verdicts.values() for seen in verdict.remember),
        tuple((key, each) for key, verdict in verdicts.items() for each in verdict.forget),
    )
    own = [ref for ref in listed if ref.own and ref.id in tokens]
    changes = await _compared(calendar, changes, own, now=now, timezone=timezone)
    named = {change.calendar for change in changes}
    return News(changes, {ref.id: ref.name for ref in listed if ref.id in named and not ref.primary}, step)


def _once(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple({change.fingerprint: change for change in reversed(list(changes))}.values())[::-1]


async def _compared(
    calendar: Calendar, changes: Sequence[Change], own: Sequence[CalendarRef], *, now: datetime, timezone: str
) -> tuple[Change, ...]:
    """The changes with their conflicts; only calendars that belong to the user say when the user is busy."""
    ids = {ref.id for ref in own}
    mine = [change for change in changes if change.calendar in ids]
    span = agenda_span(mine, now=now, timezone=timezone)
    start, end = (span[0] - ZONES_APART, span[1] + ZONES_APART) if span else (now, now)
    agenda = [event for ref in own for event in await calendar.agenda(ref.id, start, end)] if span else []
    others = [change for change in changes if change.calendar not in ids]
    return (
        *with_conflicts(mine, agenda, now=now, timezone=timezone),
        *with_conflicts(others, (), now=now, timezone=timezone),
    )
