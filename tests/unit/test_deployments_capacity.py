"""Capacity: which minutes are busiest, what they cost in each layout, and when a plan warns."""

from datetime import UTC, datetime, timedelta

from deployments.capacity import Busy, advice, busiest
from gda.settings import Settings
from gda.store import Cohort

SUNDAY = datetime(2026, 3, 8, 0, 0, tzinfo=UTC)


def at(hour: int, minute: int, *, day: int = 8) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def test_cohorts_of_several_zones_meet_in_one_minute() -> None:
    london = Cohort("digest", "daily 07:30", "Europe/London", 100)
    berlin = Cohort("digest", "daily 08:30", "Europe/Berlin", 50)
    [first, *_] = busiest([london, berlin], Settings(), SUNDAY)
    assert first == Busy(at(7, 30), occurrences=150, user_runs=150, cohort_runs=2)


def test_of_minutes_that_are_equally_busy_the_earliest_come_first() -> None:
    found = busiest([Cohort("digest", "weekdays 07:30", "UTC", 5)], Settings(), SUNDAY, n=9)
    assert [one.at for one in found] == [at(7, 30, day=day) for day in range(9, 14)]


def test_a_large_cohort_counts_the_runs_that_share_it() -> None:
    crowd = Cohort("digest", "daily 07:30", "UTC", 6000)
    [few, *_] = busiest([crowd], Settings(shard_size=2500, shard_runs=3), SUNDAY)
    [most, *_] = busiest([crowd], Settings(shard_size=100, shard_runs=3), SUNDAY)
    assert (few.cohort_runs, most.cohort_runs) == (3, 4)


def test_a_schedule_that_no_longer_parses_is_nobodys_minute() -> None:
    assert busiest([Cohort("digest", "sometimes", "UTC", 9)], Settings(), SUNDAY) == []


def test_runs_wait_for_each_other_where_the_pool_has_fewer_places() -> None:
    minute = Busy(at(7, 30), occurrences=400, user_runs=400, cohort_runs=1)
    assert minute.seconds("user", 4) > 400 / 4 * 4
    assert minute.seconds("cohort", 4) < 60
    assert (
        "400 due; layout user 400 runs, 4 at once, about 8 min 27 s; layout cohort 1 runs, about 32 s" in minute.line(4)
    )


def test_a_plan_warns_only_when_its_layout_is_too_slow_and_names_what_helps() -> None:
    crowd = [Busy(at(7, 30), 400, 400, 1)]
    assert advice([Busy(at(7, 30), 8, 8, 1)], Settings()) is None
    assert advice(crowd, Settings(layout="cohort")) is None
    assert "GDA_LAYOUT=cohort would take about 32 s" in (advice(crowd, Settings()) or "")
    huge = [Busy(at(7, 30), 90_000, 90_000, 4)]
    assert "raise GDA_PREFECT_POOL_LIMIT" in (advice(huge, Settings(layout="cohort")) or "")


def test_the_week_ends_after_seven_days() -> None:
    once = Cohort("digest", "once 2026-03-15T00:01", "UTC", 1)
    assert busiest([once], Settings(), SUNDAY) == []
    assert busiest([once], Settings(), SUNDAY + timedelta(minutes=1))[0].at == at(0, 1, day=15)
