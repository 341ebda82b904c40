"""Workers that are killed at any moment of a batch, or asked to stop in the midst of one."""

import asyncio
import os
import random
import signal
import time
from collections import Counter

import pytest

from gda.lifecycle import Status
from tests.chaos.crew import FIRST_MAIL, FULL, PATIENT, Crew, a_crew, owe_digests, owe_nothing_much, until
from tests.chaos.proof import delivered_once, each_message_once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLS, KILLS_OF_CHUNKS = (50, 20) if FULL else (6, 3)
"""Of chunks fewer, for each takes eight digests out of the fresh ones."""


def chosen_seed() -> int:
    """``CHAOS_SEED`` where it is given, to see the same again; a new one in the full amounts."""
    return int(os.environ.get("CHAOS_SEED") or (random.randrange(1_000_000) if FULL else 7))


@pytest.mark.parametrize(
    ("crowded", "kills"), [(False, KILLS), (True, KILLS_OF_CHUNKS)], ids=["one by one", "in chunks"]
)
async def test_random_kills_in_a_batch_of_digests_lose_and_double_nothing(database_url, crowded, kills):
    people = 200 if FULL else 32
    seed, began = chosen_seed(), time.monotonic()
    chance = random.Random(seed)
    # Few at once, so that fresh work lasts: who is killed while it runs alone as a suspect is poison, by the rule.
    async with a_crew(database_url, concurrency=1 if crowded else 2, claim_size=4) as crew:
        users = [f"r{number:03}" for number in range(people)]
        await owe_digests(crew, users)
        for number in range(kills):
            owner = f"victim-{number}"
            if number % 2:
                await crew.start(owner, step=chance.randint(5, 60), crowded=crowded)
            else:
                await crew.start(owner, crowded=crowded)
                await kill_after(crew, owner, chance.randint(0, 4))
            await crew.over(owner)
        killed = sum(code == -signal.SIGKILL for code in crew.ended.values())
        left = sum(not row.finished_at for row in await crew.store.history.list(limit=1000))
        rows = await crew.swept(300)
        seconds = time.monotonic() - began
        print(
            f"random: seed {seed}, {killed} of {kills} killed, {left} of {people} left for the sweep, {seconds:.0f} s"
        )
        delivered_once(crew, rows)
        each_message_once(crew, users, FIRST_MAIL)
    assert killed == kills
    assert left < people or not FULL, "no kill fell into the midst of the batch"
    assert {(row.status, row.burnt) for row in rows} == {(Status.DONE, 0)}


async def kill_after(crew: Crew, owner: str, mails: int) -> None:
    """Kill a worker when so many more mails have arrived, wherever it is then: how fast it is plays no part."""
    accepted = crew.google.sandbox.accepted
    wanted = len(accepted) + mails
    await until(lambda: owner in crew.ended or (owner in crew.pids and len(accepted) >= wanted), "its mails", 30)
    crew.send(owner, signal.SIGKILL)


async def test_a_stopped_batch_hands_back_what_it_did_not_finish_unburnt(database_url):
    size, rounds = (500, 10) if FULL else (100, 2)
    began, slowest, done = time.monotonic(), 0.0, []
    chance = random.Random(seed := chosen_seed())
    async with a_crew(database_url, **PATIENT) as crew:
        await owe_nothing_much(crew, size)
        for number in range(rounds):
            owner = f"stopped-{number}"
            await crew.start(owner, noop_seconds=0.25)
            await until(lambda owner=owner: owner in crew.pids, "its process", 30)
            while owner not in crew.ended and not (await crew.store.history.counts()).get("running"):
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0.1, 0.9))
            asked = time.monotonic()
            crew.send(owner, signal.SIGTERM)
            await crew.over(owner, seconds=30)
            slowest = max(slowest, time.monotonic() - asked)
            counts = await crew.store.history.counts()
            done.append(counts.get("done", 0))
            assert counts.get("running", 0) == 0, counts
        ends = Counter(crew.ended.values())
        assert (0 if FULL else -1) < done[-1] < size
        rows = await crew.swept(noop_seconds=0)
        stories = [await crew.store.history.story(row.id) for row in rows]
    print(
        f"stopped: seed {seed}, {rounds} times against {size}, exits {dict(ends)}, slowest {slowest:.1f} s, "
        f"done after each {done}, {time.monotonic() - began:.0f} s"
    )
    assert len(rows) == size
    assert {(row.status, row.burnt) for row in rows} == {(Status.DONE, 0)}
    assert {sum(each.outcome == "done" for each in story.attempts) for story in stories} == {1}
    assert {each.outcome for story in stories for each in story.attempts} == {"done", "interrupted"}
