"""A month (`make year` has the whole): what was promised and settled is what users were owed, one to one."""

from datetime import UTC, datetime

import pytest

from tests.year.year import Amount, live

MARCH = Amount(users=30, days=30, since=datetime(2026, 3, 1, tzinfo=UTC), seed=7, edits=0.05)


@pytest.mark.timeout(180)
async def test_each_slot_of_a_month_is_settled_once_whatever_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    judged = await live(MARCH)
    with capsys.disabled():
        print(f"\nlog {judged.log[:16]}: {dict(sorted(judged.figures.items()))}")

    assert judged.wrong == ()
    assert judged.figures["slots owed"] > 300
    assert judged.figures["lost in the outage"] > 0


async def test_the_same_seed_writes_the_same_log() -> None:
    first, again, other = [(await live(Amount(users=8, days=8, seed=seed, edits=0.05))).log for seed in (3, 3, 4)]

    assert first == again
    assert other != first
