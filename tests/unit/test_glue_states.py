"""What Prefect is told of an occurrence's ending agrees with what the ledger wrote."""

import pytest
from prefect.client.schemas.objects import StateType

from gda.glue.runs import AGAIN, asks_again, flow_state, task_state
from gda.lifecycle import DeadReason, Settlement, Status
from gda.report import Report
from gda.store import Promised
from tests.builders import MORNING


@pytest.mark.parametrize(
    ("settlement", "kind", "name"),
    [
        (Settlement(Status.DONE, "done", reason="3 messages"), StateType.COMPLETED, "Completed"),
        (Settlement(Status.SKIPPED, "skipped", reason="no new mail"), StateType.COMPLETED, "Skipped"),
        (Settlement(Status.HELD, "held", reason="consent:google"), StateType.COMPLETED, "Held"),
        (Settlement(Status.RETRYING, "snoozed", ready_at=MORNING), StateType.COMPLETED, "Snoozed"),
        (Settlement(Status.RETRYING, "failed", burns=True, ready_at=MORNING), StateType.FAILED, "Retrying"),
        (Settlement(Status.RUNNING, "failed", burns=True), StateType.FAILED, AGAIN),
        (Settlement(Status.DEAD, "failed", dead_reason=DeadReason.PERMANENT), StateType.FAILED, "Dead"),
        (None, StateType.COMPLETED, "Lost"),
    ],
)
def test_a_task_runs_state_says_what_the_ledger_wrote(settlement, kind, name):
    state = task_state(settlement)

    assert (state.type, state.name) == (kind, name)


def test_only_what_the_ledger_keeps_running_is_run_again_by_prefect():
    ends = [Settlement(status, "failed", ready_at=MORNING) for status in Status]

    again = [end.status for end in ends if asks_again(None, None, task_state(end))]

    assert again == [Status.RUNNING]


@pytest.mark.parametrize(
    ("endings", "kind"),
    [
        ({}, StateType.COMPLETED),
        ({"done": 3, "retrying": 1}, StateType.COMPLETED),
        ({"done": 3, "dead": 1}, StateType.FAILED),
    ],
)
def test_a_flow_run_fails_when_something_died(endings, kind):
    assert flow_state(Report(endings, Promised())).type == kind
