"""Jobs that bring their process down, in real processes: each ends as a dead letter, and nobody else pays for it."""

import asyncio
import sys
import time
from collections import Counter

import pytest

from gda.lifecycle import Status
from gda.store import ByHand, Scope, Store, Waker, Which, Wish
from gda.store.recovery import POISON
from tests.builders import a_store
from tests.chaos.crew import FULL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HARMFUL = ("exit-1", "block-1", "eat-1", "raise-1")
HARMLESS = 496 if FULL else 120
PATIENCE_SECONDS = 170


async def owed(store: Store) -> None:
    """A digest owed to everybody, the harmful ones in the middle."""
    names = [f"u{number:03}" for number in range(HARMLESS)]
    everybody = [*names[: HARMLESS // 2], *HARMFUL, *names[HARMLESS // 2 :]]
    await store.users.add_many([(name, f"{name}@example.org", "UTC") for name in everybody])
    await store.schedules.add_many([Wish(name, "digest", "weekly mon 07:30") for name in everybody], {})
    await store.ledger.promise_by_hand(Scope("digest"), ByHand(), Waker("hand"))


async def worked(database: str, store: Store) -> int:
    """Start one process after another, as triggers do, until everything is settled; returns how many it took."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    processes = 0
    while time.monotonic() < deadline:
        processes += 1
        command = [sys.executable, "-m", "tests.support.doomed", database, f"process-{processes}"]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        await child.wait()
        rows = await store.history.list(limit=1000)
        if all(row.finished_at for row in rows):
            return processes
    raise AssertionError(f"not settled in time: {Counter(row.status for row in rows)}")


async def test_jobs_that_end_block_or_fill_their_process_end_as_poison_and_harm_nobody(database_url):
    async with a_store(database_url) as store:
        await owed(store)
        began = await store.ledger.now()
        processes = await worked(database_url, store)
        rows = {row.user_id: row for row in await store.history.list(limit=1000)}
        deaths = {name: await store.history.story(rows[name].id) for name in HARMFUL}
        letters = await store.dead_letters.find(Which(), limit=1000)

    harmless = [row for name, row in rows.items() if name not in HARMFUL]
    slowest = max(row.finished_at - began for row in harmless if row.finished_at).total_seconds()
    print(f"poison: {len(rows)} occurrences, {processes} processes; the last harmless one after {slowest:.0f} s")
    assert {name: story.dead_reason for name, story in deaths.items()} == dict.fromkeys(HARMFUL, "poison")
    assert {letter.occurrence_id for letter in letters} == {rows[name].id for name in HARMFUL}
    assert "Unheard" in deaths["raise-1"].occurrence.reason
    assert {deaths[name].occurrence.reason for name in HARMFUL if name != "raise-1"} == {POISON}
    assert len(harmless) == HARMLESS
    assert {(row.status, row.burnt) for row in harmless} == {(Status.DONE, 0)}
    assert slowest < 180
