"""Calendar files (RFC 5545), as far as a sandbox needs them: events with their rules, exceptions and answers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gda.errors import InvalidSchedule, UsageError
from gda.schedule import zone

_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(
    r'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)', re.DOTALL
)
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^;:]*)')
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_ESCAPES = {"n": "\n", "N": "\n"}

When = date | datetime
"""A day, or a time on the wall of the event's zone (naive)."""


@dataclass(frozen=True, slots=True)
class Property:
    """One line of a calendar file."""

    name: str
    parameters: Mapping[str, str]
    value: str

    @property
    def text(self) -> str:
        """The value with its escapes undone."""
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), self.value)


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One VEVENT: an event, a series (``rule``), or a date of one that differs (``replaces``).

    ``start``, ``end``, ``excluded`` and ``replaces`` are days, or times on the wall of ``timezone``.
    """

    uid: str
    summary: str
    location: str
    timezone: str
    start: When
    end: When
    rule: str = ""
    excluded: frozenset[When] = frozenset()
    replaces: When | None = None
    cancelled: bool = False
    transparent: bool = False
    answers: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None

    @property
    def length(self) -> timedelta:
        """How long it is by the clock on the wall."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.end - self.start
        return timedelta(days=self.end.toordinal() - self.start.toordinal())


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """A calendar file: what it calls itself, its zone, its events."""

    name: str
    timezone: str
    events: tuple[FileEvent, ...]


def read_calendar(text: str, *, now: datetime) -> CalendarFile:
    """Read a calendar file.

    ``X-GDA-WEEK:20260302`` in its head says that its days are meant for the week of that Monday: they are moved by
    whole weeks into the week of ``now``, so that a sample never grows old.

    Args:
        text: the file.
        now: when it is loaded, aware.

    Raises:
        UsageError: it holds no calendar, or an event that cannot be read.
    """
    lines = list(_properties(text))
    if not any(line.name == "BEGIN" and line.value.upper() == "VCALENDAR" for line in lines):
        raise UsageError("this is no calendar file: it has no BEGIN:VCALENDAR")
    head = {line.name: line.value for line in _outside(lines)}
    timezone = head.get("X-WR-TIMEZONE", "UTC")
    place = _zone(timezone)
    shift = timedelta()
    if "X-GDA-WEEK" in head:
        today = now.astimezone(place).date()
        monday = _moment(head["X-GDA-WEEK"])
        shift = today - timedelta(days=today.weekday()) - (monday.date() if isinstance(monday, datetime) else monday)
    events = tuple(_event(block, timezone, shift) for block in _blocks(lines, "VEVENT"))
    return CalendarFile(head.get("X-WR-CALNAME", ""), timezone, events)


def _properties(text: str) -> Iterator[Property]:
    for line in _FOLD.sub("", text.lstrip("\ufeff")).splitlines():
        found = _LINE.fullmatch(line)
        if found:
            parameters = {name.upper(): value.strip('"') for name, value in _PARAMETER.findall(found[2])}
            yield Property(found[1].upper(), parameters, found[3])


def _outside(lines: list[Property]) -> Iterator[Property]:
    depth = 0
    for line in lines:
        depth += {"BEGIN": 1, "END": -1}.get(line.name, 0)
        if depth == 1:
            yield line


def _blocks(lines: list[Property], name: str) -> Iterator[list[Property]]:
    """The properties of each component of that name, without those of what lies inside it (alarms)."""
    path: list[str] = []
    block: list[Property] = []
    for line in lines:
        if line.name == "BEGIN":
            path.append(line.value.upper())
            block = [] if path[-1] == name else block
        elif line.name == "END":
            if path and path.pop() == name:
                yield block
        elif path and path[-1] == name:
            block.append(line)


def _event(block: list[Property], timezone: str, shift: timedelta) -> FileEvent:
    first = {line.name: line for line in reversed(block)}
    if "DTSTART" not in first or "UID" not in first:
        raise UsageError("an event of the calendar file has no UID or no DTSTART")
    begin = first["DTSTART"]
    own = begin.parameters.get("TZID") or ("UTC" if begin.value.endswith("Z") else timezone)
    place = _zone(own)
    start = _placed(begin, place, shift)
    created = first.get("CREATED")
    return FileEvent(
        uid=first["UID"].value,
        summary=first["SUMMARY"].text if "SUMMARY" in first else "",
        location=first["LOCATION"].text if "LOCATION" in first else "",
        timezone=own,
        start=start,
        end=_end(first, start, place, shift),
        rule=first["RRULE"].value if "RRULE" in first else "",
        excluded=frozenset(
            _placed(Property(line.name, line.parameters, value), place, shift)
            for line in block
            if line.name == "EXDATE"
            for value in line.value.split(",")
        ),
        replaces=_placed(first["RECURRENCE-ID"], place, shift) if "RECURRENCE-ID" in first else None,
        cancelled="STATUS" in first and first["STATUS"].value.upper() == "CANCELLED",
        transparent="TRANSP" in first and first["TRANSP"].value.upper() == "TRANSPARENT",
        answers={
            line.value.lower().removeprefix("mailto:"): line.parameters.get("PARTSTAT", "NEEDS-ACTION").upper()
            for line in block
            if line.name == "ATTENDEE"
        },
        created=_aware(created.value) if created else None,
    )


def _end(first: Mapping[str, Property], start: When, place: ZoneInfo, shift: timedelta) -> When:
    if "DTEND" in first:
        return _placed(first["DTEND"], place, shift)
    if "DURATION" in first:
        return start + _duration(first["DURATION"].value)
    return start if isinstance(start, datetime) else start + timedelta(days=1)


def _duration(value: str) -> timedelta:
    found = _DURATION.fullmatch(value.lstrip("+"))
    if found is None:
        raise UsageError(f"DURATION {value!r} is none: write such as PT1H30M or P2D")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def _placed(line: Property, place: ZoneInfo, shift: timedelta) -> When:
    """A day or a time as the event's own zone has it."""
    moment = _moment(line.value)
    if isinstance(moment, datetime):
        given = line.parameters.get("TZID")
        if line.value.endswith("Z"):
            moment = moment.replace(tzinfo=UTC).astimezone(place).replace(tzinfo=None)
        elif given and _zone(given) != place:
            moment = moment.replace(tzinfo=_zone(given)).astimezone(place).replace(tzinfo=None)
    return moment + shift


def _moment(value: str) -> When:
    try:
        if "T" not in value:
            return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007
        return datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    except ValueError:
        raise UsageError(f"{value!r} in the calendar file is no time: write 20260302T090000 or 20260302") from None


def _aware(value: str) -> datetime | None:
    moment = _moment(value)
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else None


def _zone(name: str) -> ZoneInfo:
    try:
        return zone(name)
    except InvalidSchedule as error:
        raise UsageError(f"the calendar file names a zone that is none: {error}") from error
