"""What follows from an attempt's outcome: pure decisions."""

import random
from datetime import timedelta

import pytest

from gda.errors import (
    ClientRefused,
    Gone,
    InDoubt,
    NeedsConsent,
    Occupied,
    Permanent,
    QuotaExceeded,
    ShuttingDown,
    Transient,
    UsageError,
)
from gda.lifecycle import DeadReason, Settlement, Status, decide, describe_failure, outcome_of
from gda.outcome import Done, Fail, Hold, Outcome, Retry, Skip, Snooze
from gda.retry import RetryPolicy
from tests.builders import MORNING, an_occurrence

POLICY = RetryPolicy(attempts=3, delay=timedelta(seconds=30))


def decided(outcome: Outcome, *, here: bool = False, **occurrence) -> Settlement:
    return decide(
        an_occurrence(**occurrence),
        outcome,
        policy=POLICY,
        now=MORNING,
        chance=random.Random(7),
        may_retry_here=here,
    )


@pytest.mark.parametrize(
    ("outcome", "status", "burns"),
    [
        (Done("3 messages"), Status.DONE, False),
        (Skip("no new mail"), Status.SKIPPED, False),
        (Retry("503"), Status.RETRYING, True),
        (Snooze(MORNING + timedelta(minutes=1), "in doubt"), Status.RETRYING, False),
        (Hold("consent:google"), Status.HELD, False),
        (Fail("550"), Status.DEAD, True),
    ],
)
def test_each_outcome_has_its_status_and_burns_or_not(outcome, status, burns):
    settlement = decided(outcome)

    assert (settlement.status, settlement.burns) == (status, burns)


def test_a_retry_waits_no_longer_than_the_backoff_allows():
    settlement = decided(Retry("503"), burnt=1)

    assert settlement.ready_at is not None
    assert MORNING <= settlement.ready_at <= MORNING + timedelta(seconds=60)


def test_a_provider_that_names_a_time_is_waited_for():
    settlement = decided(Retry("429", after=timedelta(minutes=15)))

    assert settlement.ready_at is not None
    assert MORNING + timedelta(minutes=15) <= settlement.ready_at <= MORNING + timedelta(minutes=16)


def test_the_last_attempt_that_fails_makes_it_dead():
    settlement = decided(Retry("503"), burnt=2)

    assert (settlement.status, settlement.dead_reason) == (Status.DEAD, DeadReason.ATTEMPTS)
    assert "attempt 3 of 3" in settlement.reason


def test_an_attempt_that_would_come_after_the_next_slot_is_not_made():
    settlement = decided(Retry("429", after=timedelta(minutes=30)), expires_at=MORNING + timedelta(minutes=20))

    assert (settlement.status, settlement.dead_reason) == (Status.DEAD, DeadReason.AGE)


def test_inside_a_run_a_plain_failure_is_tried_again_under_the_same_lease():
    settlement = decided(Retry("connection reset"), here=True)

    assert (settlement.status, settlement.burns) == (Status.RUNNING, True)


def test_inside_a_run_nobody_waits_for_a_provider_that_named_a_time():
    assert decided(Retry("429", after=timedelta(seconds=5)), here=True).status is Status.RETRYING


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Transient("503", timedelta(seconds=9)), Retry("503", timedelta(seconds=9))),
        (QuotaExceeded("429", timedelta(minutes=1)), Retry("429", timedelta(minutes=1))),
        (NeedsConsent("revoked"), Hold("consent:google")),
        (ClientRefused("invalid_client"), Hold("client:google")),
        (Permanent("550"), Fail("550")),
        (UsageError("no address"), Fail("no address")),
        (ShuttingDown("stopping"), Snooze(MORNING, "stopping")),
        (Occupied("its turn", timedelta(seconds=9)), Snooze(MORNING + timedelta(seconds=9), "its turn")),
    ],
)
def test_each_error_is_mapped_once(error, outcome):
    assert outcome_of(error, MORNING) == outcome


def test_an_effect_in_doubt_is_looked_at_again_soon_and_burns_nothing():
    outcome = outcome_of(InDoubt("no reply"), MORNING)

    assert isinstance(outcome, Snooze)
    assert outcome.until > MORNING


def test_a_provider_error_of_no_special_kind_is_tried_again():
    assert isinstance(outcome_of(Gone("404"), MORNING), Retry)


def test_a_foreign_errors_text_is_not_kept_because_it_may_quote_content():
    secret = "ya29.a-token-that-nobody-may-read"
    try:
        raise ValueError(f"cannot parse {secret}")
    except ValueError as error:
        failure = describe_failure(error)
        outcome = outcome_of(error, MORNING)

    assert secret not in f"{failure} {outcome}"
    assert failure.error_class == "builtins.ValueError"
    assert "test_lifecycle.py" in failure.traceback
