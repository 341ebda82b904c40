"""Jobs that bring their process down, in real processes: each ends as a dead letter, and nobody else pays for it."""

import asyncio
import sys
import time
from collections import Counter

import pytest

from gda.lifecycle import Status
from gda.store import ByHand, Scope, Store, Waker, Wish
from tests.builders import a_store

pytestmark = pytest.mark.slow

HARMFUL = ("exit-1", "block-1", "eat-1", "raise-1")
HARMLESS = 120
PATIENCE_SECONDS = 170


async def owed(store: Store) -> None:
    """A digest owed to everybody, the harmful ones in the middle."""
    names = [f"u{number:03}" for number in range(HARMLESS)]
    everybody = [*names[:60], *HARMFUL, *names[60:]]
    await store.users.add_many([(name, f"{name}@example.org", "UTC") for name in everybody])
    await store.schedules.add_many([Wish(name, "digest", "weekly mon 07:30") for name in everybody], {})
    await store.ledger.promise_by_hand(Scope("digest"), ByHand(), Waker("hand"))


async def worked(database: str, store: Store) -> None:
    """Start one process after another, as triggers do, until everything is settled."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    processes = 0
    while time.monotonic() < deadline:
        processes += 1
        command = [sys.executable, "-m", "tests.support.doomed", database, f"process-{processes}"]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        await child.wait()
        rows = await store.history.list(limit=500)
        if all(row.finished_at for row in rows):
            return
    raise AssertionError(f"not settled in time: {Counter(row.status for row in rows)}")


async def test_jobs_that_end_block_or_fill_their_process_end_as_poison_and_harm_nobody(database_url):
    async with a_store(database_url) as store:
        await owed(store)
        await worked(database_url, store)
        rows = {row.user_id: row for row in await store.history.list(limit=500)}
        deaths = {name: (await store.history.story(rows[name].id)).dead_reason for name in HARMFUL}

    harmless = [row for name, row in rows.items() if name not in HARMFUL]
    assert deaths == dict.fromkeys(HARMFUL, "poison")
    assert {(row.status, row.burnt) for row in harmless} == {(Status.DONE, 0)}
