"""Prefect wakes where the oracle says: the cron lines handed to it give the oracle's instants in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect.server.schemas.schedules import CronSchedule

from gda.schedule import Expression, parse, slots_between

START = datetime(2026, 1, 15, 10, 0, 30, tzinfo=UTC)


async def instants_of_prefect(expression: Expression, days: int) -> set[datetime]:
    """Every instant at which Prefect would wake for the expression within the given days."""
    found: set[datetime] = set()
    for line in expression.crons:
        schedule = CronSchedule(cron=line, timezone="UTC", day_or=expression.day_or)
        # get_dates stops at 1,000 candidates, so the stretch is asked for in pieces.
        for month in range(0, days, 30):
            begin, end = START + timedelta(days=month), START + timedelta(days=min(month + 30, days))
            found.update(
                datetime.fromtimestamp(date.timestamp(), UTC) for date in await schedule.get_dates(1000, begin, end)
            )
    return found


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("daily 07:30", 60),
        ("weekdays 07:30", 60),
        ("weekly mon,thu,sun 07:30", 60),
        ("monthly 1,31 09:00", 800),
        ("0 9 */10 * *", 800),
        ("0 9 1,15,30 * *", 800),
        ("monthly last 09:00", 400),
        ("0 9 1,31 * 5 any", 400),
        ("0 9 13 * 5 all", 900),
        ("0 9 * * L5", 200),
        ("0 9 * * 1#2", 200),
        ("0 9-9 * * fri-fri", 60),
        ("0 8-18/2 * 1,7 *", 300),
        ("every 15 minutes", 8),
        ("every 2 hours", 20),
    ],
)
async def test_prefect_wakes_at_the_oracles_instants_in_utc(text: str, days: int) -> None:
    expression = parse(text)
    slots = slots_between(expression, "UTC", START, START + timedelta(days=days))

    assert await instants_of_prefect(expression, days) == {slot.due_at for slot in slots}


async def test_prefect_reads_the_translated_seconds_last() -> None:
    expression = parse("every 30 seconds", seconds=True)
    schedule = CronSchedule(cron=expression.crons[0], timezone="UTC")

    dates = await schedule.get_dates(3, START)

    assert [date.timestamp() - START.timestamp() for date in dates] == [0, 30, 60]
