"""One calendar of a sandbox account: its items, numbered by their last change, and what people do to them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gda.errors import UsageError
from gda.sandbox.dates import Item, date_id, instant, items_of, later
from gda.sandbox.ics import CalendarFile, read_calendar

CHANGES = ("add", "move", "cancel", "answer")
_ANSWERS = ("accepted", "declined", "tentative", "needsAction")
_TIMES = ("start", "end")


@dataclass(slots=True)
class SandboxCalendar:
    """A calendar; ``items`` are Google's JSON by id, ``number`` counts changes, ``numbers`` say which an item's was."""

    id: str
    name: str
    timezone: str
    primary: bool
    number: int = 0
    items: dict[str, Item] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def put(self, item: Item) -> None:
        """Add an item, or put it in place of the one of the same id, as the newest change."""
        self.number += 1
        self.items[item["id"]] = item
        self.numbers[item["id"]] = self.number

    def load(self, file: CalendarFile, account: str, now: datetime) -> list[str]:
        """Put what a calendar file holds into it; returns the ids of events and series. Raises UsageError."""
        found = list(items_of(file, account, now=now))
        for item in found:
            self.put(item)
        return list(dict.fromkeys(str(item.get("recurringEventId", item["id"])) for item in found))

    def changed_after(self, number: int, until: int) -> list[tuple[int, Item]]:
        """The items whose last change has a number past ``number`` and up to ``until``, in order of change."""
        found = [(own, self.items[key]) for key, own in self.numbers.items() if number < own <= until]
        return sorted(found, key=lambda pair: pair[0])

    def change(self, values: dict[str, Any], account: str, now: datetime) -> list[str]:
        """Do one thing to the calendar as a person would.

        Args:
            values: ``do`` with: ``add`` and ``ics`` (a calendar file's text); ``move`` and ``event`` and ``minutes``;
                ``cancel`` and ``event``; ``answer`` and ``event`` and ``status``. ``event`` is the id of an event, of
                one date of a series, or of a series, which means its dates to come.
            account: whose calendar it is.
            now: aware.

        Returns:
            The ids of what was changed; for ``add`` those of events and series.

        Raises:
            UsageError: it cannot be done; nothing is changed.
        """
        match values:
            case {"do": "add", "ics": str(text)}:
                return self.load(read_calendar(text, now=now), account, now)
            case {"do": "move", "event": str(key), "minutes": int(minutes)}:
                return self._move(self._meant(key, now), key, timedelta(minutes=minutes))
            case {"do": "cancel", "event": str(key)}:
                return self._each(self._meant(key, now), {"status": "cancelled"})
            case {"do": "answer", "event": str(key), "status": str(status)} if status in _ANSWERS:
                people = [{"email": account, "self": True, "responseStatus": status}]
                return self._each(self._meant(key, now), {"attendees": people})
        raise UsageError(
            f"do is {values.get('do')!r}; choose one of {', '.join(CHANGES)}, with event, and with ics (add), whole "
            f"minutes (move) or a status (answer: {', '.join(_ANSWERS)})"
        )

    def _meant(self, key: str, now: datetime) -> list[Item]:
        if key in self.items:
            return [self.items[key]]
        dates = [item for item in self.items.values() if item.get("recurringEventId") == key]
        if not dates:
            raise UsageError(f"calendar {self.id} has no event {key!r}")
        return [item for item in dates if item["status"] != "cancelled" and instant(item["end"], self.timezone) > now]

    def _each(self, items: list[Item], changes: dict[str, Any]) -> list[str]:
        for item in items:
            self.put({**item, **changes})
        return [item["id"] for item in items]

    def _move(self, items: list[Item], key: str, by: timedelta) -> list[str]:
        moved = [{**item, **{name: later(item[name], by) for name in _TIMES}} for item in items]
        if key in self.items:
            return self._each(moved, {})
        # As at Google, the dates of a series that moves as a whole get new ids, and the old ones are cancelled.
        self._each(items, {"status": "cancelled"})
        for item in moved:
            self.put({**item, "id": date_id(key, item["start"]), "originalStartTime": item["start"]})
        return [date_id(key, item["start"]) for item in moved]
