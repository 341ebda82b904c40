"""Backoff: bounded, jittered, never before a provider's own time."""

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gda.retry import RetryPolicy
from gda.settings import Settings


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
