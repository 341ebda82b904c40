"""A month of changes, drawn at random and replayed day by day: each is told once, on the next day, and nothing else is.

Tokens expire on some days, pages are short, mail servers refuse and connections break after the mail was taken.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from gda.google.calendar import Calendar
from gda.schedule import zone
from tests.support.calendars import vevent
from tests.support.diary import ADDRESS, Diary, a_diary

DAYS = 30
WITHOUT_TOKEN = (9, 14, 15, 22)
REFUSED, BROKEN = (5, 15, 19), (7, 22)
LONDON = zone("Europe/London")
STANDUP = vevent("standup", "20260202T093000", "20260202T094500", "Stand-up", "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR")
CHOIR = vevent("choir", "20260219T190000", "20260219T203000", "Choir", "RRULE:FREQ=WEEKLY")


@dataclass(slots=True)
class Life:
    """What a person does to a calendar, and what is to be told of it."""

    diary: Diary
    chance: Random
    made: int = 0
    expected: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)

    def live_a_day(self) -> None:
        """Do up to four things to different events; a series is touched once a day."""
        self.expected, self.touched = [], set()
        for _ in range(self.chance.randint(0, 4)):
            deed = self.chance.choice([self.makes, self.makes_a_day, self.makes_a_series, self.moves, self.cancels])
            deed()

    def makes(self) -> None:
        start = self.some_time()
        key = self.diary.add(vevent(self.uid(), f"{start:%Y%m%dT%H%M%S}", f"{start:%Y%m%dT}235500", self.title()))
        self.tell("New", key, self.title(), start)

    def makes_a_day(self) -> None:
        start = self.some_time().date()
        end = start + timedelta(days=self.chance.randint(1, 3))
        key = self.diary.add(vevent(self.uid(), f"{start:%Y%m%d}", f"{end:%Y%m%d}", self.title()))
        self.tell("New", key, self.title(), start)

    def makes_a_series(self) -> None:
        start = self.some_time()
        rule = f"RRULE:FREQ={self.chance.choice(['DAILY', 'WEEKLY', 'MONTHLY'])};COUNT={self.chance.randint(3, 9)}"
        key = self.diary.add(vevent(self.uid(), f"{start:%Y%m%dT%H%M%S}", f"{start:%Y%m%dT}235500", self.title(), rule))
        self.tell("New", key, self.title(), start)

    def moves(self) -> None:
        if (item := self.some_item()) is not None:
            days = self.chance.choice([1, 2, 9])
            minutes = days * 1440 + (0 if "date" in item["start"] else self.chance.choice([0, 15, 60]))
            self.diary.change(do="move", event=item["id"], minutes=minutes)
            start = begins(self.items()[item["id"]])
            self.tell("Moved", item.get("recurringEventId", item["id"]), item["summary"], start)

    def cancels(self) -> None:
        if (item := self.some_item()) is not None:
            self.diary.change(do="cancel", event=item["id"])
            self.tell("Cancelled", item.get("recurringEventId", item["id"]), item["summary"], begins(item))

    def tell(self, heading: str, key: str, title: str, start: date) -> None:
        self.touched.add(key)
        clock = f"{start:%H:%M}" if isinstance(start, datetime) else "all day"
        self.expected.append(f"{heading}: {title} on {start:%a} {start.day} {start:%b} {clock}")

    def uid(self) -> str:
        self.made += 1
        return f"made-{self.made}"

    def title(self) -> str:
        return f"Thing {self.made}"

    def some_time(self) -> datetime:
        start = self.diary.clock.instant.astimezone(LONDON) + timedelta(days=self.chance.randint(2, 50))
        return start.replace(hour=self.chance.randint(0, 22), minute=self.chance.choice([0, 15, 30]))

    def items(self) -> dict[str, dict]:
        account = self.diary.sandbox.accounts.by_email(ADDRESS)
        return account.calendars[ADDRESS].items

    def some_item(self) -> dict | None:
        """An event, or a date of a series, of the next sixty days that nobody has touched today."""
        now = self.diary.clock.instant
        coming = [
            item
            for key, item in sorted(self.items().items())
            if item["status"] != "cancelled"
            and not {item.get("recurringEventId", key), key} & self.touched
            and timedelta(days=2) < as_instant(begins(item)) - now < timedelta(days=60)
        ]
        return self.chance.choice(coming) if coming else None


def begins(item: dict) -> date:
    start = item["start"]
    return datetime.fromisoformat(start["dateTime"]) if "dateTime" in start else date.fromisoformat(start["date"])


def as_instant(start: date) -> datetime:
    return start if isinstance(start, datetime) else datetime(start.year, start.month, start.day, tzinfo=UTC)


def told(row: str) -> str:
    """A mail's row in the words of ``Life.expected``."""
    what, when, *_ = row.split(" | ")
    day = when.partition(",")[0].partition(" to ")[0]
    clock = "all day" if when.endswith("all day") else when.split(", ")[1][:5]
    return f"{what} on {day} {clock}"


async def reported(diary: Diary, day: int) -> list[str]:
    """Wake for the day's report, again and again while it is in trouble; what the mails that came say."""
    before = len(diary.mails())
    if day in WITHOUT_TOKEN:
        diary.fault("calendar_token_gone", times=1)
    if day in REFUSED:
        diary.fault("smtp_reject", code=451, times=1)
    if day in BROKEN:
        diary.fault("accept_then_drop", times=1)
        diary.fault("index_delay", seconds=1800)
    report = await diary.next_day()
    if report == "1 retrying":
        diary.clock.advance(hours=1)
        report = await diary.asked()
        diary.clock.advance(hours=-1)
    diary.sandbox.faults.clear()
    assert report in ("1 done", "1 skipped")
    assert (report == "1 done") == (len(diary.mails()) > before)
    return [told(row) for rows in diary.told()[before:] for row in rows]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_change_of_a_month_is_told_once(tmp_path, database_url, monkeypatch, seed):
    assert Calendar.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(Calendar.__init__.__kwdefaults__, "page", 7)
    async with a_diary(tmp_path, database_url, STANDUP, CHOIR) as diary:
        assert await diary.asked() == "1 skipped"
        life = Life(diary, Random(seed))
        changes = 0
        for day in range(1, DAYS + 1):
            life.live_a_day()
            found = await reported(diary, day)
            assert sorted(found) == sorted(life.expected), day
            changes += len(found)
        listings = diary.sandbox.requests["events.list"]

    assert changes > 40
    assert listings > DAYS
