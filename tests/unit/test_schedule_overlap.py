"""What becomes of slots that fall due while another of their schedule runs, as a pure decision."""

from datetime import UTC, datetime, timedelta

import pytest

from gda.schedule import DueDecision
from gda.schedule.due import Promise
from gda.schedule.overlap import Run, skip_overlapping

NINE = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def a_decision(*due: datetime) -> DueDecision:
    """Scheduled promises at these instants."""
    return DueDecision(tuple(Promise(f"{at:%Y-%m-%dT%H:%M}", at, "scheduled") for at in due), NINE + timedelta(days=1))


@pytest.mark.parametrize(
    ("started", "finished", "status"),
    [
        (-5, None, "skipped"),
        (-5, 1, "skipped"),
        (0, 1, "skipped"),
        (-5, 0, "scheduled"),
        (1, None, "scheduled"),
    ],
)
def test_a_slot_is_refused_where_another_was_running_at_its_instant(started, finished, status):
    end = None if finished is None else NINE + timedelta(minutes=finished)
    run = Run("2026-03-10T08:55", NINE + timedelta(minutes=started), end)
    [promise] = skip_overlapping(a_decision(NINE), [run]).promises
    assert promise.status == status
    assert promise.reason == ("overlap skip: 2026-03-10T08:55 was running" if status == "skipped" else "")


def test_a_refused_slot_waits_for_nothing_and_its_schedule_goes_on():
    decision = a_decision(NINE)
    [promise] = decision.promises
    later = DueDecision((Promise(promise.slot, NINE, "scheduled", not_before=NINE),), decision.next_due_at)
    answer = skip_overlapping(later, [Run("2026-03-10T08:55", NINE, None)])
    assert answer.promises[0].not_before is None
    assert answer.next_due_at == decision.next_due_at


def test_a_slot_that_another_policy_refused_keeps_that_reason():
    refused = DueDecision((Promise("2026-03-10T09:00", NINE, "skipped", "merged into 2026-03-10T09:00"),), None)
    assert skip_overlapping(refused, [Run("x", NINE, None)]) == refused
