"""What may have happened, where nobody can be asked: the occurrence is dead, and says so."""

import random
from datetime import timedelta

import pytest

from gda.errors import ClaimLost, InDoubt, Permanent, QuotaExceeded, Transient, Unverifiable, UsageError
from gda.lifecycle import DeadReason, decide, outcome_of
from gda.notify.steps import gathered
from gda.outcome import Fail
from gda.retry import RetryPolicy
from tests.builders import MORNING, an_occurrence


def test_what_nobody_can_be_asked_about_is_dead_as_in_doubt():
    outcome = outcome_of(Unverifiable("no reply"), MORNING)
    assert outcome == Fail("no reply", in_doubt=True)
    policy = RetryPolicy(attempts=3, delay=timedelta(seconds=30))
    settlement = decide(an_occurrence(), outcome, policy=policy, now=MORNING, chance=random.Random(7))
    assert settlement.dead_reason is DeadReason.IN_DOUBT


@pytest.mark.parametrize(
    ("problems", "first"),
    [
        ([Permanent("a"), Unverifiable("b"), InDoubt("c"), Transient("d"), ClaimLost("e")], ClaimLost),
        ([Permanent("a"), Unverifiable("b"), InDoubt("c"), QuotaExceeded("d")], QuotaExceeded),
        ([Permanent("a"), Unverifiable("b"), InDoubt("c")], InDoubt),
        ([Permanent("a"), Unverifiable("b")], Unverifiable),
        ([UsageError("a")], UsageError),
    ],
)
async def test_of_several_channels_problems_the_one_with_most_still_to_be_done_decides(problems, first):
    gone: list[int] = []

    async def way(number: int, problem: Exception | None) -> bool:
        gone.append(number)
        if problem is not None:
            raise problem
        return True

    ways = [way(number, problem) for number, problem in enumerate([*problems, None])]
    with pytest.raises(first) as raised:
        await gathered(*ways)
    assert type(raised.value) is first
    assert len(gone) == len(problems) + 1
