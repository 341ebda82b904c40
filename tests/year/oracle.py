"""What users are owed, by brute force from the log of what they did, held against the ledger's rows one to one."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from operator import attrgetter
from zoneinfo import ZoneInfo

from tests.oracle.brute import Slot, changes, slots, wall, zone_of
from tests.year.people import LINES, Deed

EARLY = timedelta(seconds=90)
"""How early a wake-up may promise; an edit within that time comes too late for the slot."""
_RANGE = re.compile(r": (\S+) \.\. (\S+), (\d+) slots$")
_DAY = timedelta(days=1)
_POLICY = ("missed, and older", "expired", "catch-up")


@dataclass(frozen=True, slots=True)
class Term:
    """A wish in force: slots with ``since < due <= until`` are owed."""

    since: datetime
    until: datetime
    cron: str
    zone: str
    catch_up: str


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger holds of one slot, and how often it was performed."""

    slot: str
    due_at: datetime
    status: str
    reason: str
    performed: int


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
        by_user: dict[str, list[Deed]] = defaultdict(list)
        for deed in log:
            by_user[deed.user].append(deed)
        owed, wrong = 0, [f"{user}: nobody of that name" for user in rows if user not in by_user]
        for user, own in by_user.items():
            number, problems = self._judge_one(own, rows.get(user, []))
            owed += number
            wrong += [f"{user}: {problem}" for problem in problems]
        return owed, wrong

    def _judge_one(self, log: list[Deed], rows: list[Row]) -> tuple[int, list[str]]:
        every = list(terms(log, self._until))
        spans = self._outages + list(absences(log, self._until))
        owed = self._owed(every)
        there = {row.slot: row for row in rows}
        wrong = [] if len(there) == len(rows) else ["a slot has several rows"]
        for slot, (due, merged, term) in owed.items():
            if slot in there:
                wrong += self._judge_row(there.pop(slot), due, merged, term, every, spans)
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
            for slot in self._due(term):
                owed.setdefault(slot.name, (slot.due_at, slot.merged_into, term))
        return owed

    def _judge_row(
        self, row: Row, due: datetime, merged: str | None, term: Term | None, every: list[Term], spans: list[Span]
    ) -> Iterator[str]:
        if row.due_at != due and not self._came_early(row, every):
            yield f"{row.slot} is due {due}, not {row.due_at}"
        if row.performed != (row.status == "done"):
            yield f"{row.slot} is {row.status} and was performed {row.performed} times"
        if row.status == "skipped" and merged is not None and row.reason == f"merged into {merged}":
            return
        if row.status == "skipped" and row.reason.startswith(_POLICY):
            excused = term is not None and term.catch_up == "none"
            if not excused and not any(span.holds(row.due_at) for span in spans):
                yield f"{row.slot} was refused without need: {row.reason}"
        elif row.status != "done" or (merged is not None and row.due_at == due):
            yield f"{row.slot} ended as {row.status} ({row.reason!r}), merged into {merged}"

    def _came_early(self, row: Row, every: list[Term]) -> bool:
        """Whether it was promised in the last moments of a wish, just before the user changed it."""
        for term in every:
            late = Term(term.until, term.until + EARLY, term.cron, term.zone, term.catch_up)
            if any((slot.name, slot.due_at) == (row.slot, row.due_at) for slot in self._due(late)):
                return True
        return False

    def _due(self, term: Term) -> list[Slot]:
        every = self._slots(term.cron, term.zone)
        due = attrgetter("due_at")
        return every[bisect_right(every, term.since, key=due) : bisect_right(every, term.until, key=due)]

    def _all_slots(self, cron: str, zone: str) -> list[Slot]:
        return slots(cron, self._walls(zone), self._first, self._days)


class _Wall(dict[datetime, datetime]):
    """When each minute on the wall is due: minute by minute around changes, by the day's one offset elsewhere."""

    def __init__(self, name: str, first: date, days: int) -> None:
        self._tz: ZoneInfo = zone_of(name)
        begin = datetime.combine(first, datetime.min.time(), tzinfo=UTC)
        for at, _, _ in changes(self._tz, begin - 2 * _DAY, begin + (days + 2) * _DAY):
            self.update(wall(self._tz, at.date() - 2 * _DAY, 5))

    def __missing__(self, local: datetime) -> datetime:
        return local.replace(tzinfo=self._tz).astimezone(UTC)


def terms(log: list[Deed], end: datetime) -> Iterator[Term]:
    """The wishes of one user, each from when to when; being away ends none, for what was missed is caught up."""
    asleep = False
    for deed, until in pairwise([*log, None]):
        assert deed is not None
        asleep = deed.verb in ("pause", "remove") or (asleep and deed.verb in ("move", "leave", "return"))
        if not asleep:
            yield Term(deed.at, until.at if until else end, LINES[deed.spelling], deed.zone, deed.catch_up)


def absences(log: list[Deed], end: datetime) -> Iterator[Span]:
    """When a user was paused as a whole; what was due a little before may still have waited for its sweep."""
    for deed, until in pairwise([*log, None]):
        if deed is not None and deed.verb == "leave":
            yield Span(deed.at - timedelta(minutes=20), until.at if until else end)


def _cover(
    left: list[tuple[str, datetime]], row: Row, number: int, first_due: datetime | None
) -> tuple[list[tuple[str, datetime]], list[str]]:
    """Take what a range row stands for from what is left; the row itself is one of its slots."""
    if first_due is None:
        return left, [f"{row.slot} stands for a range that begins with no slot: {row.reason}"]
    rest = [(slot, due) for slot, due in left if not first_due <= due <= row.due_at]
    covered = len(left) - len(rest) + 1
    return rest, [] if covered == number else [f"{row.slot} stands for {covered} slots, not {number}: {row.reason}"]
