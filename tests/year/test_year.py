"""Some weeks (`make year` has the whole): what was promised and settled is what users were owed, one to one."""

from datetime import UTC, datetime

import pytest

from tests.year.year import Amount, live

SPRING = Amount(users=24, days=18, since=datetime(2026, 3, 20, tzinfo=UTC), seed=7, edits=0.05)
"""Europe's clocks change in it, the Levant's, and Lord Howe's, Sydney's and Chile's the other way."""


@pytest.mark.timeout(180)
async def test_each_slot_of_a_spring_is_settled_once_whatever_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    judged = await live(SPRING)
    with capsys.disabled():
        print(f"\nlog {judged.log[:16]}: {dict(sorted(judged.figures.items()))}")

    assert judged.wrong == ()
    assert judged.figures["slots owed"] > 120
    assert judged.figures["lost in the outage"] > 0


async def test_the_same_seed_writes_the_same_log() -> None:
    first, again, other = [(await live(Amount(users=6, days=6, seed=seed, edits=0.05))).log for seed in (3, 3, 4)]

    assert first == again
    assert other != first
