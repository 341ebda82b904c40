"""Which changes of a calendar are news: pure, for one calendar at a time.

A series is one thing. Its usual dates are no news once the series is known, however far ahead a calendar lists them; a
date that is moved or cancelled is an exception and is news; a change of all its dates is told once.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gda.novelty.judge import Verdict, View, cancelled, together, told_of
from gda.novelty.model import Event, Seen
from gda.novelty.series import judge_series


@dataclass(frozen=True, slots=True)
class Listing:
    """What a calendar answered; ``whole``: everything that is not over, so that what is absent is gone."""

    calendar: str
    events: tuple[Event, ...]
    whole: bool


def decide(
    listing: Listing,
    seen: Mapping[str, Seen],
    *,
    now: datetime,
    timezone: str,
    told_since: datetime | None = None,
) -> Verdict:
    """Judge what a calendar lists against what was seen of it.

    Args:
        listing: changes since the last listing, or the whole calendar.
        seen: what is remembered of this calendar, by id.
        now: the listing's instant, aware; what is over by then is remembered but not told.
        timezone: the user's IANA name, in which days and floating times are meant.
        told_since: for a calendar's first listing: only what was created from this instant (aware) on is new.

    Returns:
        The changes, in no order of meaning, and what becomes of the memory. Judging the same listing again with that
        memory gives no change.
    """
    view = View(now, timezone, told_since)
    latest = {event.id: event for event in listing.events}
    groups: dict[str, list[Event]] = defaultdict(list)
    for event in latest.values():
        groups[event.base].append(event)
    singles = groups.pop("", [])
    verdicts = [_single(event, seen.get(event.id), view) for event in singles]
    if listing.whole:
        verdicts += [_absent(known, view) for known in seen.values() if _expected(known, latest, groups)]
        for known in seen.values():
            if known.series:
                groups.setdefault(known.series, [])
    rows: dict[str, list[Seen]] = defaultdict(list)
    for known in seen.values():
        rows[known.series].append(known)
    for base, events in groups.items():
        verdicts.append(judge_series(events, seen.get(base), rows[base], view, base=base, whole=listing.whole))
    return together(verdicts)


def _single(event: Event, known: Seen | None, view: View) -> Verdict:
    if event.cancelled:
        return _absent(known, view) if known else Verdict()
    state = Seen.of(event)
    if known == state:
        return Verdict()
    change = told_of(event, known, view)
    return Verdict((change,) if change else (), (state,))


def _absent(known: Seen, view: View) -> Verdict:
    return Verdict(cancelled(known, view), forget=(known.id,))


def _expected(known: Seen, latest: Mapping[str, Event], groups: Mapping[str, object]) -> bool:
    """Whether a single event stands in no part of a whole listing; one that became a series goes on as that."""
    return not known.series and known.id not in latest and known.id not in groups
