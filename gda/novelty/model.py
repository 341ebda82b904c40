"""Calendar events as values: what a calendar says of one, what was seen of it, and what a user is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from gda.schedule import resolve

Moment = date | datetime
"""A day (all-day events), an aware instant, or a naive time on the wall (a *floating* time: the same in every zone)."""

BUSY, FREE, DECLINED = "busy", "free", "declined"


def instant_of(moment: Moment, timezone: str) -> datetime:
    """When a moment is, for somebody in that timezone: aware, UTC; a day begins at its midnight (DESIGN 5 for gaps)."""
    if not isinstance(moment, datetime):
        return resolve(datetime.combine(moment, time()), timezone).instant
    return resolve(moment, timezone).instant if moment.tzinfo is None else moment.astimezone(UTC)


def moment_text(moment: Moment) -> str:
    """ISO text that is equal for equal moments: instants in UTC, floating times and days as they stand."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).isoformat()
    return moment.isoformat()


def moment_from(text: str) -> Moment:
    """The moment that ``moment_text`` wrote. Raises ValueError."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def length(start: Moment, end: Moment) -> timedelta:
    """How long an event is by the clock on the wall, so that a night in which clocks change is as long as others."""
    return _bare(end) - _bare(start)


def _bare(moment: Moment) -> datetime:
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    return moment.replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Event:
    """One event, or one date of a series, as its calendar shows it.

    Attributes:
        calendar: the calendar's id.
        id: unique in the calendar; a date of a series keeps it when it is moved.
        uid: the same for copies of one event in several calendars.
        cancelled: it was taken away; everything but the ids may be missing.
        title: one line.
        start: when it begins.
        end: when it is over, exclusive: an all-day event ends on the day after its last.
        series: the id of the series that it belongs to, empty for none.
        original: when this date of the series was meant to begin.
        stance: ``busy``, ``free`` (it blocks no time) or ``declined`` by the user.
        location: one line.
        url: its page in the calendar.
        created: when it was made, aware.
    """

    calendar: str
    id: str
    uid: str
    cancelled: bool = False
    title: str = ""
    start: Moment = date.min
    end: Moment = date.min
    series: str = ""
    original: Moment | None = None
    stance: str = BUSY
    location: str = ""
    url: str = ""
    created: datetime | None = None

    @property
    def base(self) -> str:
        """The series from which Google split this one off: "this and following events" makes ``<id>_R<date>``."""
        return self.series.partition("_R")[0]

    @property
    def is_exception(self) -> bool:
        """Whether this date of a series is at another time than the series says."""
        return bool(self.series) and self.original is not None and self.start != self.original


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of an event, an exception to a series, or a series.

    ``starts`` holds, as text, the dates known of a series, or the one date that an exception stands for. ``start`` and
    ``end`` of a series are those of one usual date of it.
    """

    calendar: str
    id: str
    uid: str
    title: str
    start: Moment
    end: Moment
    stance: str
    series: str = ""
    starts: tuple[str, ...] = ()

    @classmethod
    def of(cls, event: Event) -> "Seen":
        """What to remember of one event, or one date of a series."""
        starts = (moment_text(event.original),) if event.original is not None else ()
        return cls(
            event.calendar, event.id, event.uid, event.title, event.start, event.end, event.stance, event.base, starts
        )

    @property
    def is_series(self) -> bool:
        """Whether this stands for a whole series."""
        return self.series == self.id

    @property
    def fingerprint(self) -> str:
        """The same as long as the event is at the same time and blocks as much of it."""
        return fingerprint(self.id, self.start, self.end, self.stance)

    def to_json(self) -> dict[str, Any]:
        """A plain dict for a JSON column."""
        own = {name: getattr(self, name) for name in ("calendar", "id", "uid", "title", "stance", "series")}
        return {**own, "start": moment_iso(self.start), "end": moment_iso(self.end), "starts": list(self.starts)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Seen":
        """What ``to_json`` wrote."""
        times = {name: moment_from(value[name]) for name in ("start", "end")}
        return cls(**{**value, **times, "starts": tuple(value["starts"])})


class ChangeKind(StrEnum):
    """What a user may be told of an event."""

    NEW = "new"
    MOVED = "moved"
    CANCELLED = "cancelled"
    CONFLICTING = "conflicting"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a user is told.

    ``was`` is where a moved event was before; ``count`` how many dates of a series are meant, of which ``start`` is the
    first to come; ``conflicts`` are titles of what it overlaps.
    """

    kind: ChangeKind
    calendar: str
    uid: str
    title: str
    start: Moment
    end: Moment
    stance: str = BUSY
    was: tuple[Moment, Moment] | None = None
    count: int = 1
    location: str = ""
    url: str = ""
    conflicts: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same change of copies of one event in several calendars."""
        was = self.was or (self.start, self.end)
        return fingerprint(self.uid, self.start, self.end, self.kind, moment_text(was[0]), moment_text(was[1]))

    def to_json(self) -> dict[str, Any]:
        """A plain dict for a JSON column."""
        return {
            "kind": str(self.kind),
            "calendar": self.calendar,
            "uid": self.uid,
            "title": self.title,
            "start": moment_iso(self.start),
            "end": moment_iso(self.end),
            "stance": self.stance,
            "was": [moment_iso(each) for each in self.was] if self.was else None,
            "count": self.count,
            "location": self.location,
            "url": self.url,
            "conflicts": list(self.conflicts),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Change":
        """What ``to_json`` wrote."""
        was = [moment_from(each) for each in value["was"]] if value["was"] else None
        return cls(
            **{
                **value,
                "kind": ChangeKind(value["kind"]),
                "start": moment_from(value["start"]),
                "end": moment_from(value["end"]),
                "was": (was[0], was[1]) if was else None,
                "conflicts": tuple(value["conflicts"]),
            }
        )


def moment_iso(moment: Moment) -> str:
    """ISO text that keeps an instant's own offset, by which the length of an event is told."""
    return moment.isoformat()


def fingerprint(name: str, start: Moment, end: Moment, *state: str) -> str:
    """Sixteen hex digits that stand for an event in a state."""
    text = "\x1f".join((name, moment_text(start), moment_text(end), *state))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
