"""croniter and pendulum as second opinions: where they agree with GDA's slots, and where they do not and why.

They are asked only here. croniter reads ``a-a`` as the whole field and runs a repeated time twice; pendulum reads
timezones from the system's copy first and, unless told, takes the second of two.
"""

import random
from datetime import UTC, datetime

import pendulum
import pytest
from croniter import croniter

from gda.schedule import Cron, next_slots, parse, resolve, zone
from tests.oracle.brute import never_comes, random_line

NEW_YORK = "America/New_York"


def by_croniter(text: str, tz: str, after: datetime, n: int) -> list[datetime]:
    walker = croniter(text, after.astimezone(zone(tz)))
    return [walker.get_next(datetime).astimezone(UTC) for _ in range(n)]


def by_gda(text: str, tz: str, after: datetime, n: int) -> list[datetime]:
    return [slot.due_at for slot in next_slots(parse(text, max_runs_per_day=None), tz, after, n)]


def test_croniter_agrees_in_utc_on_lines_as_normalised() -> None:
    rng, compared = random.Random(20261123), 0
    while compared < 150:
        text = random_line(rng)
        if never_comes(text):
            continue
        cron = parse(text, max_runs_per_day=None)
        assert isinstance(cron, Cron)
        start = datetime(2026, rng.randint(1, 12), rng.randint(1, 28), tzinfo=UTC)
        dates: set[datetime] = set()
        for line in cron.crons:
            walker = croniter(line, start, day_or=cron.day_or)
            dates.update(walker.get_next(datetime) for _ in range(12))
        assert sorted(dates)[:12] == by_gda(text, "UTC", start, 12), text
        compared += 1


@pytest.mark.parametrize(
    ("text", "start", "croniter_local", "gda_local"),
    [
        # In the gap croniter runs at its end; GDA keeps the elapsed position.
        ("30 2 * * *", "2026-03-08T05:00", ["03-08T03:00", "03-09T02:30"], ["03-08T03:30", "03-09T02:30"]),
        # In the fold croniter runs twice.
        ("30 1 * * *", "2026-11-01T04:00", ["11-01T01:30", "11-01T01:30"], ["11-01T01:30", "11-02T01:30"]),
        # Away from clock changes they agree.
        ("30 1 * * *", "2026-06-01T04:00", ["06-01T01:30", "06-02T01:30"], ["06-01T01:30", "06-02T01:30"]),
    ],
)
def test_croniter_differs_where_clocks_change(
    text: str, start: str, croniter_local: list[str], gda_local: list[str]
) -> None:
    after = datetime.fromisoformat(start).replace(tzinfo=UTC)

    for found, said in ((by_croniter, croniter_local), (by_gda, gda_local)):
        assert [f"{at.astimezone(zone(NEW_YORK)):%m-%dT%H:%M}" for at in found(text, NEW_YORK, after, 2)] == said


@pytest.mark.parametrize(
    ("name", "local"),
    [
        (NEW_YORK, "2026-03-08T02:30"),
        (NEW_YORK, "2026-11-01T01:30"),
        (NEW_YORK, "2026-07-01T07:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:15"),
        ("Australia/Lord_Howe", "2026-04-05T01:45"),
        ("Antarctica/Troll", "2026-03-29T02:30"),
        ("America/Nuuk", "2026-03-28T23:30"),
        ("Africa/Cairo", "2026-04-24T00:30"),
        ("Africa/Cairo", "2026-10-29T23:30"),
        ("Pacific/Apia", "2011-12-30T09:00"),
        ("Pacific/Kwajalein", "1993-08-21T09:00"),
    ],
)
def test_pendulum_agrees_on_missing_times_and_on_the_first_of_two(name: str, local: str) -> None:
    at = datetime.fromisoformat(local)
    ours = resolve(at, name)
    theirs = {
        fold: pendulum.datetime(at.year, at.month, at.day, at.hour, at.minute, tz=name, fold=fold).timestamp()
        for fold in (0, 1)
    }

    # In a gap pendulum turns fold=0 backwards, out of the gap; its default, fold=1, is GDA's reading.
    assert theirs[0 if ours.note == "fold" else 1] == ours.instant.timestamp()
    assert (theirs[0] == theirs[1]) is (ours.note == "")
