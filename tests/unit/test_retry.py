"""Backoff: bounded, jittered, never before a provider's own time."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gda.lifecycle import Status, decide
from gda.outcome import Retry
from gda.retry import RetryPolicy
from gda.settings import Settings, load_settings
from gda.store.promises import age_limit
from tests.builders import MORNING, an_occurrence


@given(burnt=st.integers(1, 10_000), seed=st.integers())
def test_no_wait_is_negative_or_longer_than_the_cap(burnt, seed):
    policy = RetryPolicy()

    wait = policy.wait(burnt, retry_after=None, chance=random.Random(seed))

    assert timedelta(0) <= wait <= policy.max_delay


def test_the_bound_doubles_until_the_cap():
    policy = RetryPolicy(delay=timedelta(seconds=30), max_delay=timedelta(minutes=10))

    assert [policy.bound(n).total_seconds() for n in range(1, 8)] == [30, 60, 120, 240, 480, 600, 600]


@given(seconds=st.integers(0, 86_400), seed=st.integers())
def test_a_providers_time_is_a_floor(seconds, seed):
    asked = timedelta(seconds=seconds)

    wait = RetryPolicy().wait(1, retry_after=asked, chance=random.Random(seed))

    assert asked <= wait <= asked + timedelta(seconds=30)


def test_the_policy_follows_the_settings():
    policy = RetryPolicy.from_settings(Settings(retry_attempts=4, retry_delay_seconds=2, run_retries=1))

    assert (policy.attempts, policy.delay, policy.in_run_retries) == (4, timedelta(seconds=2), 1)


@pytest.mark.parametrize(
    ("variable", "value", "bounds"),
    [
        ("RETRY_DELAY_SECONDS", "7", [7, 14, 28]),
        ("RETRY_MULTIPLIER", "3", [30, 90, 270]),
        ("RETRY_MAX_DELAY_SECONDS", "45", [30, 45, 45]),
    ],
)
def test_each_setting_of_the_backoff_has_its_effect(monkeypatch, variable, value, bounds):
    monkeypatch.setenv(f"GDA_{variable}", value)
    policy = RetryPolicy.from_settings(load_settings())

    assert [policy.bound(burnt).total_seconds() for burnt in (1, 2, 3)] == bounds


@pytest.mark.parametrize(("setting", "last"), [("3", 3), ("1", 1)])
def test_the_number_of_attempts_is_the_settings(monkeypatch, setting, last):
    monkeypatch.setenv("GDA_RETRY_ATTEMPTS", setting)
    policy = RetryPolicy.from_settings(load_settings())
    ends = [
        decide(an_occurrence(burnt=burnt), Retry("503"), policy=policy, now=MORNING, chance=random.Random(1)).status
        for burnt in range(last)
    ]

    assert ends == [Status.RETRYING] * (last - 1) + [Status.DEAD]


@pytest.mark.parametrize(
    ("period", "limit"),
    [
        (timedelta(days=7), timedelta(days=7)),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(minutes=59), timedelta(hours=24)),
        (timedelta(minutes=15), timedelta(hours=24)),
        (None, timedelta(hours=24)),
    ],
)
def test_no_attempt_comes_after_the_next_occurrence_or_24_hours_where_they_come_faster(period, limit):
    following = MORNING + period if period else None

    assert age_limit(MORNING, following) == MORNING + limit
