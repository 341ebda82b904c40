"""Workers that compete for the same work, and workers whose clocks are wrong."""

import asyncio
import time
from collections import Counter

import pytest

from gda.lifecycle import Status
from tests.chaos.crew import FULL, LEASE_SECONDS, PATIENT, a_crew, owe_nothing_much, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def test_eight_processes_that_claim_the_same_occurrences_win_each_once(database_url):
    size = 1000 if FULL else 200
    async with a_crew(database_url, **PATIENT) as crew:
        await owe_nothing_much(crew, size)
        owners = [f"racer-{number}" for number in range(8)]
        began = time.monotonic()
        for owner in owners:
            await crew.start(owner, claim_only=True)
        await crew.over(*owners, seconds=120)
        seconds = time.monotonic() - began
        print(f"race: {len(crew.claimed)} of {size}, exits {Counter(crew.ended.values())}, {seconds:.1f} s")
        assert {crew.ended[owner] for owner in owners} == {0}
        assert len(crew.claimed) == len(set(crew.claimed)) == size


async def test_a_clock_that_is_ten_minutes_off_steals_no_live_lease(database_url):
    size = 40 if FULL else 16
    async with a_crew(database_url) as crew:
        await owe_nothing_much(crew, size)
        await crew.start("slow", noop_seconds=LEASE_SECONDS + 1.5)
        await until(lambda: "slow" in crew.pids, "the process", 30)
        while not (await crew.store.history.counts()).get("running"):
            await asyncio.sleep(0.02)
        await crew.start("ahead", clock_minutes=10, noop_seconds=0)
        await crew.start("behind", clock_minutes=-10, noop_seconds=0)
        await crew.over("slow", "ahead", "behind")
        rows = await crew.swept(noop_seconds=0)
        stories = [await crew.store.history.story(row.id) for row in rows]
        owners = Counter(attempt.owner for story in stories for attempt in story.attempts)
    print(f"clocks: {size} occurrences, attempts by {dict(owners)}")
    assert {row.status for row in rows} == {Status.DONE}
    assert {len(story.attempts) for story in stories} == {1}
    assert owners["slow"] >= 16
