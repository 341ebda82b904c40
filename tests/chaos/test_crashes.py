"""Workers that are killed at every step, or at any moment: nothing is lost, and nothing happens twice."""

import asyncio
import random
import signal
from collections import Counter

import pytest

from gda.lifecycle import Status
from tests.chaos.crew import FULL, Crew, a_crew, owe_digests, owe_nothing_much, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def killed_at_every_step(crew: Crew, users: list[str], every: int, **order: object) -> int:
    """Kill one worker per user at another step each; returns the first step that no worker reached."""
    for number, user in enumerate(users):
        await crew.start(user, user=user, step=number * every + 1, **order)
        await crew.over(user)
        if crew.ended[user] == 0:
            return number * every + 1
        assert crew.ended[user] == -signal.SIGKILL
    raise AssertionError("the job has more steps than this test has users")


def delivered_once(crew: Crew, rows: list) -> None:
    """Each occurrence is done, with exactly one accepted mail."""
    mails = Counter({row.id: len(crew.google.sandbox.accepted.find(occurrence=row.id)) for row in rows})
    assert {row.status for row in rows} == {Status.DONE}
    assert set(mails.values()) == {1}, mails


async def test_a_digest_killed_at_any_step_is_delivered_once(database_url):
    async with a_crew(database_url) as crew:
        every = 1 if FULL else 4
        users = [f"d{number:03}" for number in range(100 // every)]
        await owe_digests(crew, users)
        last = await killed_at_every_step(crew, users, every)
        rows = await crew.settled()
        print(f"digest: killed at each {every}. of {last} steps; {len(rows)} occurrences")
        assert last > 20
        delivered_once(crew, rows)


async def test_a_job_that_does_nothing_killed_at_any_step_is_settled_once(database_url):
    async with a_crew(database_url) as crew:
        await owe_nothing_much(crew, 80)
        users = [f"u{number:04}" for number in range(80)]
        last = await killed_at_every_step(crew, users, 1, noop_seconds=0)
        rows = await crew.settled(noop_seconds=0)
        print(f"no-op: killed at each of {last} steps")
        assert last > 5
        assert {(row.status, row.burnt) for row in rows} == {(Status.DONE, 0)}


async def test_random_kills_in_a_batch_of_digests_lose_and_double_nothing(database_url):
    people, kills = (200, 50) if FULL else (24, 5)
    chance = random.Random(7)
    async with a_crew(database_url, concurrency=4, claim_size=4) as crew:
        await owe_digests(crew, [f"r{number:03}" for number in range(people)])
        for number in range(kills):
            owner = f"victim-{number}"
            await crew.start(owner, step=chance.randint(5, 150))
            await crew.over(owner)
        rows = await crew.settled(300)
        killed = sum(code == -signal.SIGKILL for code in crew.ended.values())
        print(f"random: {killed} of {kills} workers killed, {Counter(row.status for row in rows)}")
        assert killed
        delivered_once(crew, rows)


async def test_a_stopped_batch_hands_back_what_it_did_not_finish_unburnt(database_url):
    size, rounds = (500, 10) if FULL else (100, 2)
    async with a_crew(database_url) as crew:
        await owe_nothing_much(crew, size)
        for number in range(rounds):
            owner = f"stopped-{number}"
            await crew.start(owner, noop_seconds=0.15)
            await until(lambda owner=owner: owner in crew.pids, "its process", 30)
            while owner not in crew.ended and not (await crew.store.history.counts()).get("running"):
                await asyncio.sleep(0.01)
            crew.send(owner, signal.SIGTERM)
            await crew.over(owner, seconds=30)
            counts = await crew.store.history.counts()
            assert counts.get("running", 0) == 0, counts
        rows = await crew.settled(noop_seconds=0)
        assert len(rows) == size
        assert {(row.status, row.burnt) for row in rows} == {(Status.DONE, 0)}
