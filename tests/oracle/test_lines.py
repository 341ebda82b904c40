"""Random cron lines against brute force, and against what Prefect and croniter make of them in UTC."""

import os
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from croniter import croniter
from prefect.server.schemas.schedules import CronSchedule

from gda.errors import InvalidSchedule
from gda.schedule import Cron, Expression, parse, slots_between
from tests.oracle.brute import never_comes, nominal, random_line

FULL = bool(os.environ.get("ORACLE_FULL"))
LINES = 10_000 if FULL else 400
FOR_PREFECT = 10_000 if FULL else 150
MOST = 60
TICK = timedelta(seconds=1)


def accepted(rng: random.Random) -> tuple[str, Cron]:
    """The next random line that is accepted; those refused on the way are refused for the one right reason."""
    while True:
        text = random_line(rng)
        if not never_comes(text):
            expression = parse(text, max_runs_per_day=None)
            assert isinstance(expression, Cron)
            assert parse(str(expression), max_runs_per_day=None) == expression
            return text, expression
        with pytest.raises(InvalidSchedule, match="never comes"):
            parse(text, max_runs_per_day=None)


def stretch(text: str, rng: random.Random) -> tuple[date, int, list[datetime]]:
    """Days with no more than some 60 slots, or years where slots are rare, and what brute force finds in them."""
    first = date(2026, 1, 1) + timedelta(days=rng.randrange(1500))
    per_day = len(nominal(" ".join([*text.split()[:2], "* * *"]), first, 1))
    days = max(1, min(1500, MOST // per_day))
    found = nominal(text, first, days)
    if len(found) * 4 < MOST:
        days = min(1500, days * 16)
        found = nominal(text, first, days)
    return first, days, [local.replace(tzinfo=UTC) for local in found]


@pytest.mark.timeout(900)
def test_random_lines_are_due_when_brute_force_says(capsys: pytest.CaptureFixture[str]) -> None:
    rng, compared = random.Random(20261121), 0
    for _ in range(LINES):
        text, cron = accepted(rng)
        first, days, expected = stretch(text, rng)
        start = datetime.combine(first, datetime.min.time(), tzinfo=UTC) - TICK
        found = slots_between(cron, "UTC", start, start + timedelta(days=days))
        assert [slot.due_at for slot in found] == expected, text
        compared += len(expected)
    with capsys.disabled():
        print(f"\n{LINES} random lines, {compared} slots equal brute force")

    assert compared > LINES


async def instants_of_prefect(expression: Expression, since: datetime, until: datetime) -> list[datetime]:
    """Every instant at which Prefect wakes for the lines it is given, duplicates of two lines removed."""
    found: set[datetime] = set()
    for line in expression.crons:
        schedule = CronSchedule(cron=line, timezone="UTC", day_or=expression.day_or)
        found.update(
            datetime.fromtimestamp(moment.timestamp(), UTC) for moment in await schedule.get_dates(1000, since, until)
        )
    return sorted(found)


@pytest.mark.timeout(1800)
async def test_prefect_wakes_for_random_lines_when_brute_force_says(capsys: pytest.CaptureFixture[str]) -> None:
    rng, compared = random.Random(20261122), 0
    for _ in range(FOR_PREFECT):
        text, cron = accepted(rng)
        first, days, expected = stretch(text, rng)
        if len(expected) > 900:
            continue  # get_dates stops at 1,000
        start = datetime.combine(first, datetime.min.time(), tzinfo=UTC)
        assert await instants_of_prefect(cron, start, start + timedelta(days=days) - TICK) == expected, text
        compared += len(expected)
    with capsys.disabled():
        print(f"\n{FOR_PREFECT} random lines, {compared} slots equal Prefect's own cron after normalisation")

    assert compared > FOR_PREFECT


async def test_1_march_is_never_lost() -> None:
    # Ten years, and each way for 1 to stand beside the days that Prefect loses it for.
    first, days = date(2026, 1, 1), 3652
    start = datetime.combine(first, datetime.min.time(), tzinfo=UTC)
    beside = ("30", "31", "2-31/10", "2,28-31", "29", "30,31", "29,30", "29,31", "15,30")
    for rest in beside if FULL else beside[:4]:
        for month in ("*", "2,3", "3", "jan-mar") if FULL else ("*",):
            for weekday in ("*", "1 any", "1-6 all"):
                text = f"0 9 1,{rest} {month} {weekday}"
                expected = [local.replace(tzinfo=UTC) for local in nominal(text, first, days)]
                slots = slots_between(parse(text), "UTC", start - TICK, start + timedelta(days=days) - TICK)
                assert [slot.due_at for slot in slots] == expected, text
                assert [moment for moment in expected if (moment.month, moment.day) == (3, 1)] or "all" in text
                woken: list[datetime] = []
                for year in range(10):  # get_dates stops at 1,000
                    begin, end = start.replace(year=2026 + year), start.replace(year=2027 + year) - TICK
                    woken += await instants_of_prefect(parse(text), begin, end)
                assert woken == expected, text


def test_9_9_runs_once_a_day_though_croniter_and_prefect_read_it_as_every_hour() -> None:
    cron, start = parse("0 9-9 * * *"), datetime(2026, 1, 1, tzinfo=UTC)

    assert [slot.slot for slot in slots_between(cron, "UTC", start, start + timedelta(days=2))] == [
        "2026-01-01T09:00",
        "2026-01-02T09:00",
    ]
    assert cron.crons == ("0 9 * * *",)
    raw = croniter("0 9-9 * * *", start)
    assert [raw.get_next(datetime).hour for _ in range(3)] == [1, 2, 3]
