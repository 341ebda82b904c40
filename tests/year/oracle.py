"""What users are owed, by brute force from the log of what they did, held against the ledger's rows one to one."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from operator import attrgetter
from zoneinfo import ZoneInfo

from tests.oracle.brute import Slot, changes, slots, wall, zone_of
from tests.year.people import LINES, ONCE, Asked, Deed

EARLY = timedelta(seconds=90)
"""How early a wake-up may promise; an edit within that time comes too late for the slot."""
_RANGE = re.compile(r": (\S+) \.\. (\S+), (\d+) slots$")
_DAY = timedelta(days=1)
BEFORE = timedelta(minutes=20)
"""How long a slot may wait for a sweep."""
_POLICY = ("missed, and older", "expired", "catch-up")
_PAUSED = "paused in Prefect"
SEEN_WITHIN = timedelta(minutes=2)
"""What was due so short a time before a user lets a deployment run again may be served."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOON = timedelta(minutes=75)
"""How late a first attempt may come where nothing was away: a late wake-up, a sweep each quarter, a crash."""


@dataclass(frozen=True, slots=True)
class Term:
    """A wish in force: slots with ``since < due <= until`` are owed."""

    since: datetime
    until: datetime
    asked: Asked
    zone: str


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger holds of one slot, and how its attempts ended: when the first did, and each by its status.

    ``letter``: an open dead letter tells of it.
    """

    slot: str
    due_at: datetime
    status: str
    reason: str
    first_at: datetime | None = None
    endings: tuple[str, ...] = ()
    letter: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nothing could be served (an outage, a user's absence), so that refusals are to be expected."""

    since: datetime
    until: datetime

    def holds(self, instant: datetime) -> bool:
        """Whether the instant lies within."""
        return self.since <= instant <= self.until


class Oracle:
    """Knows the clocks of the year and nothing of GDA."""

    def __init__(self, since: datetime, until: datetime, outages: list[Span]) -> None:
        self._since, self._until, self._outages = since, until, outages
        self._first, self._days = since.date() - 2 * _DAY, (until - since).days + 5
        self._slots = cache(self._all_slots)
        self._walls = cache(lambda zone: _Wall(zone, self._first, self._days))

    def judge(self, log: Iterable[Deed], rows: dict[str, list[Row]]) -> tuple[int, list[str]]:
        """Compare every user; returns how many slots were owed, and what is wrong in sentences."""
        people = by_user(log)
        owed, wrong = 0, [f"{user}: nobody of that name" for user in rows if user not in people]
        for user, own in people.items():
            number, problems = self._judge_one(own, rows.get(user, []))
            owed += number
            wrong += [f"{user}: {problem}" for problem in problems]
        return owed, wrong

    def _judge_one(self, log: list[Deed], rows: list[Row]) -> tuple[int, list[str]]:
        every = list(terms(log, self._until))
        stops = list(absences(log, self._until, "stop", ("go", "remove")))
        spans = self._outages + stops + list(absences(log, self._until, "leave", ("return",)))
        owed = self._owed(every)
        there = {row.slot: row for row in rows}
        wrong = [] if len(there) == len(rows) else ["a slot has several rows"]
        for slot, (due, merged, term) in owed.items():
            if slot in there:
                wrong += self._judge_row(row := there.pop(slot), due, merged, term, every, spans)
                wrong += _judge_stops(row, stops, spans)
                owed[slot] = (due, merged, None)
        left = [(slot, due) for slot, (due, _, term) in owed.items() if term is not None]
        for row in rows:
            if found := _RANGE.search(row.reason):
                left, problem = _cover(left, row, int(found[3]), owed[found[1]][0] if found[1] in owed else None)
                wrong += problem
        wrong += [f"{slot} due {due} is missing" for slot, due in left]
        strange = (row for row in there.values() if not self._came_early(row, every))
        return len(owed), wrong + [f"{row.slot} was never owed: {row}" for row in strange]

    def _owed(self, every: list[Term]) -> dict[str, tuple[datetime, str | None, Term | None]]:
        owed: dict[str, tuple[datetime, str | None, Term | None]] = {}
        for term in every:
            for slot in self.due(term):
                owed.setdefault(slot.name, (slot.due_at, slot.merged_into, term))
        return owed

    def _judge_row(
        self, row: Row, due: datetime, merged: str | None, term: Term | None, every: list[Term], spans: list[Span]
    ) -> Iterator[str]:
        if row.due_at != due and not self._came_early(row, every):
            yield f"{row.slot} is due {due}, not {row.due_at}"
        away = any(span.holds(row.due_at) for span in spans)
        if row.first_at is not None:
            yield from _judge_attempts(row, away, term)
            if merged is not None and row.due_at == due:
                yield f"{row.slot} ended as {row.status} ({row.reason!r}), merged into {merged}"
        elif row.status != "skipped" or row.letter:
            yield f"{row.slot} is {row.status} ({row.reason!r}) and was never tried"
        elif row.reason.startswith(_POLICY) or row.reason == _PAUSED:
            if not away and (term is None or term.asked.catch_up != "none"):
                yield f"{row.slot} was refused without need: {row.reason}"
        elif merged is None or row.reason != f"merged into {merged}":
            yield f"{row.slot} was refused for no good reason: {row.reason!r}, merged into {merged}"

    def _came_early(self, row: Row, every: list[Term]) -> bool:
        """Whether it was promised in the last moments of a wish, just before the user changed it."""
        for term in every:
            late = replace(term, since=term.until, until=term.until + EARLY)
            if any((slot.name, slot.due_at) == (row.slot, row.due_at) for slot in self.due(late)):
                return True
        return False

    def due(self, term: Term) -> list[Slot]:
        """The slots of a wish while it is in force."""
        every = self._slots(term.asked.spelling, term.zone)
        due = attrgetter("due_at")
        return every[bisect_right(every, term.since, key=due) : bisect_right(every, term.until, key=due)]

    def _all_slots(self, spelling: str, zone: str) -> list[Slot]:
        if spelling.startswith(ONCE):
            local = datetime.fromisoformat(spelling.removeprefix(ONCE))
            return [Slot(f"{local:%Y-%m-%dT%H:%M}", self._walls(zone)[local], None)]
        line = LINES[spelling]
        if isinstance(line, timedelta):
            return list(_periods(line, self._since, self._until + EARLY))
        return slots(line, self._walls(zone), self._first, self._days)


class _Wall(dict[datetime, datetime]):
    """When each minute on the wall is due: minute by minute around changes, by the day's one offset elsewhere."""

    def __init__(self, name: str, first: date, days: int) -> None:
        self._tz: ZoneInfo = zone_of(name)
        begin = datetime.combine(first, datetime.min.time(), tzinfo=UTC)
        for at, _, _ in changes(self._tz, begin - 2 * _DAY, begin + (days + 2) * _DAY):
            self.update(wall(self._tz, at.date() - 2 * _DAY, 5))

    def __missing__(self, local: datetime) -> datetime:
        return local.replace(tzinfo=self._tz).astimezone(UTC)


def _periods(period: timedelta, since: datetime, until: datetime) -> Iterator[Slot]:
    due = since - (since - _EPOCH) % period
    while due <= until:
        yield Slot(f"{due:%Y-%m-%dT%H:%M}", due, None)
        due += period


def _judge_stops(row: Row, stops: list[Span], spans: list[Span]) -> Iterator[str]:
    """Whether a slot is refused for a pause in Prefect if, and only if, it fell due in one or had not been served."""
    within = any(span.since + BEFORE < row.due_at < span.until - SEEN_WITHIN for span in stops)
    if within and (row.first_at or not (row.reason == _PAUSED or row.reason.startswith((*_POLICY, "merged")))):
        yield f"{row.slot} fell due while paused in Prefect: {row}"
    if row.reason == _PAUSED and not any(span.holds(row.due_at) for span in spans):
        yield f"{row.slot} was not paused in Prefect: {row}"


def _judge_attempts(row: Row, away: bool, term: Term | None) -> Iterator[str]:
    """Whether a slot was tried at the right time, and settled once and for all by its last attempt."""
    assert row.first_at is not None
    spread = term.asked.spread if term is not None else timedelta(hours=1)
    if row.first_at < row.due_at or (row.first_at > row.due_at + spread + SOON and not away):
        yield f"{row.slot} due {row.due_at} was first tried at {row.first_at}"
    if row.endings[-1] != row.status or any(ending in ("done", "skipped") for ending in row.endings[:-1]):
        yield f"{row.slot} is {row.status}, and its attempts ended as {', '.join(row.endings)}"
    if row.letter != (row.status == "dead"):
        yield f"{row.slot} is {row.status} and has {'a' if row.letter else 'no'} dead letter"


def by_user(log: Iterable[Deed]) -> dict[str, list[Deed]]:
    """What each user did, in order."""
    found: dict[str, list[Deed]] = defaultdict(list)
    for deed in log:
        found[deed.user].append(deed)
    return found


def terms(log: list[Deed], end: datetime) -> Iterator[Term]:
    """The wishes of one user, each from when to when; being away ends none, for what was missed is caught up."""
    asleep = False
    for deed, until in pairwise([*log, None]):
        assert deed is not None
        asleep = deed.verb in ("pause", "remove") or (asleep and deed.verb == "move")
        if not asleep:
            yield Term(deed.at, until.at if until else end, deed.asked, deed.zone)


def absences(log: list[Deed], end: datetime, begins: str, ends: Collection[str]) -> Iterator[Span]:
    """When a user was paused as a whole, or in Prefect; what was due a little before may still have waited."""
    for number, deed in enumerate(log):
        if deed.verb == begins:
            back = (later.at for later in log[number:] if later.verb in ends)
            yield Span(deed.at - BEFORE, next(back, end))


def _cover(
    left: list[tuple[str, datetime]], row: Row, number: int, first_due: datetime | None
) -> tuple[list[tuple[str, datetime]], list[str]]:
    """Take what a range row stands for from what is left; the row itself is one of its slots."""
    if first_due is None:
        return left, [f"{row.slot} stands for a range that begins with no slot: {row.reason}"]
    rest = [(slot, due) for slot, due in left if not first_due <= due <= row.due_at]
    covered = len(left) - len(rest) + 1
    return rest, [] if covered == number else [f"{row.slot} stands for {covered} slots, not {number}: {row.reason}"]
