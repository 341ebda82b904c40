"""What a wake-up says about itself, in one line that a person reads in the Prefect UI."""

from datetime import UTC, datetime

import pytest

from gda.lifecycle import Status
from gda.report import Report, standing_of
from gda.store import Promised
from tests.builders import an_occurrence

AT = datetime(2026, 3, 10, 7, 31, 5, tzinfo=UTC)
ID = "00000000-0000-0000-0000-000000000001"


def test_a_wake_up_that_found_nothing_says_nothing_due():
    assert str(Report({}, Promised())) == "nothing due"


def test_endings_are_counted_in_the_order_of_their_names():
    report = Report({Status.SKIPPED: 1, Status.DONE: 3, Status.DEAD: 2}, Promised())

    assert str(report) == "2 dead; 3 done; 1 skipped"
    assert (report.performed, report.dead) == (6, 2)


def test_what_was_refused_and_what_cannot_be_read_is_told_too():
    report = Report({Status.DONE: 1}, Promised(5, ("a",), 3, ("s1",)))

    assert str(report) == "1 done; 3 refused by policy; 1 schedules cannot be read"


def test_what_was_told_comes_last():
    assert str(Report({Status.DONE: 1}, Promised(), told=("slot x waits",))) == "1 done; slot x waits"


def test_a_settled_slot_names_its_occurrence_its_waker_its_end_and_its_time():
    said = standing_of(an_occurrence(status=Status.DONE, reason="3 messages", finished_at=AT))

    assert said == (
        f"slot 2026-03-10T07:30 was already settled by occurrence {ID}, woken by schedule: "
        "done at 2026-03-10T07:31:05Z (3 messages)"
    )


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (Status.DEAD, "use replay to try it again"),
        (Status.RUNNING, "is being performed by another worker"),
        (Status.HELD, "is held by occurrence"),
        (Status.RETRYING, "waits as occurrence"),
        (Status.SCHEDULED, "waits as occurrence"),
    ],
)
def test_what_is_not_settled_well_says_what_it_waits_for(status, says):
    said = standing_of(an_occurrence(status=status, reason="smtp DATA: 451"))

    assert says in said
    assert ID in said
    assert ("settled" in said) is (status is Status.DEAD)


def test_an_extra_one_is_called_a_request_for_it_has_no_slot():
    said = standing_of(an_occurrence(status=Status.DONE, slot=None, extra=True, woken_by="hand", finished_at=AT))

    assert said.startswith(f"this request was already settled by occurrence {ID}, woken by hand: done")
