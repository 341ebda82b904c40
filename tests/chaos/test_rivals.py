"""Workers that compete, that stand still past their lease, and whose clocks are wrong."""

import asyncio
import signal
from collections import Counter

import pytest

from gda.lifecycle import Status
from gda.sandbox.faults import Fault
from tests.chaos.crew import FULL, LEASE_SECONDS, a_crew, owe_digests, owe_nothing_much, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def test_eight_processes_that_claim_the_same_occurrences_win_each_once(database_url):
    size = 1000 if FULL else 200
    async with a_crew(database_url, lease_seconds=60, lease_refresh_seconds=15) as crew:
        await owe_nothing_much(crew, size)
        owners = [f"racer-{number}" for number in range(8)]
        for owner in owners:
            await crew.start(owner, claim_only=True)
        await crew.over(*owners, seconds=120)
        print(f"race: {len(crew.claimed)} claims of {size}, exit codes {Counter(crew.ended.values())}")
        assert {crew.ended[owner] for owner in owners} == {0}
        assert len(crew.claimed) == len(set(crew.claimed)) == size


async def test_a_worker_paused_past_its_lease_has_no_second_effect_when_it_goes_on(database_url):
    users = [f"p{number:03}" for number in range(30)]
    async with a_crew(database_url) as crew:
        await owe_digests(crew, users)
        paused = []
        # Not inside a transaction: SQLite has one write lock, and whoever stands still with it stops everybody.
        for number, user in enumerate(users):
            await crew.start(user, user=user, step=number + 1, signal=signal.SIGSTOP, watched="abroad")
            if not await crew.paused(user):
                break
            paused.append(user)
        await asyncio.sleep(LEASE_SECONDS + 0.5)
        rows = await crew.settled()
        for user in paused:
            crew.send(user, signal.SIGCONT)
        await crew.over(*paused)
        again = await crew.store.history.list(limit=500)
        mails = Counter({row.id: len(crew.google.sandbox.accepted.find(occurrence=row.id)) for row in again})
        stories = [await crew.store.history.story(row.id) for row in again]
        lost = sum(attempt.outcome == "lost" for story in stories for attempt in story.attempts)
        print(f"paused at {len(paused)} steps; attempts recorded as lost: {lost}; exits {Counter(crew.ended.values())}")
        assert len(paused) >= 5
        assert lost
        assert again == rows, "a late worker changed what was settled"
        assert set(mails.values()) == {1}, mails


async def test_a_clock_that_is_ten_minutes_ahead_steals_no_live_lease(database_url):
    async with a_crew(database_url) as crew:
        await owe_nothing_much(crew, 40)
        await crew.start("slow", noop_seconds=2 * LEASE_SECONDS)
        await until(lambda: "slow" in crew.pids, "the process", 30)
        while not (await crew.store.history.counts()).get("running"):
            await asyncio.sleep(0.02)
        await crew.start("ahead", clock_minutes=10, noop_seconds=0)
        await crew.start("behind", clock_minutes=-10, noop_seconds=0)
        rows = await crew.settled(noop_seconds=0)
        await crew.over("slow", "ahead", "behind")
        stories = [await crew.store.history.story(row.id) for row in rows]
        assert {row.status for row in rows} == {Status.DONE}
        assert {len(story.attempts) for story in stories} == {1}


async def test_ten_failures_in_a_row_are_a_dead_letter_with_ten_attempts(database_url):
    async with a_crew(database_url, retry_delay_seconds=0.02, retry_max_delay_seconds=0.05) as crew:
        await owe_digests(crew, ["ada"])
        crew.google.sandbox.faults.switch_on(Fault("smtp_reject", code=451))
        [row] = await crew.settled()
        story = await crew.store.history.story(row.id)
        assert row.status is Status.DEAD
        assert story.dead_reason == "attempts"
        assert [attempt.number for attempt in story.attempts] == list(range(1, 11))
        assert not crew.google.sandbox.accepted.find(occurrence=row.id)


async def test_a_worker_paused_between_its_lease_check_and_the_content_sends_no_second_mail(database_url):
    async with a_crew(database_url) as crew:
        await owe_digests(crew, ["ada"])
        await crew.start("ada", user="ada", step=1, signal=signal.SIGSTOP, watched="content")
        await crew.paused("ada")
        await asyncio.sleep(LEASE_SECONDS + 0.5)
        [row] = await crew.settled()
        crew.send("ada", signal.SIGCONT)
        await crew.over("ada")
        assert len(crew.google.sandbox.accepted.find(occurrence=row.id)) == 1
