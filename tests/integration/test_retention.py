"""Retention, on both databases: what is old and settled goes in batches; what is new, open or dead stays."""

from datetime import timedelta

from gda.store import ByHand, Scope, Waker
from gda.store.retention import Pruned
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

MONTH, WEEK = timedelta(days=30), timedelta(days=7)


async def test_settled_occurrences_go_in_batches_after_their_time_and_others_stay(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        for name in ("ada", "bruno", "chiara", "dina"):
            await a_user_with_digest(store, name)
            await store.ledger.promise_by_hand(Scope("digest", user_id=name), ByHand(), Waker("hand"))
        ids = {row.user_id: row.id for row in await store.history.list()}
        await store.ledger.cancel([ids[name] for name in ("ada", "bruno", "chiara")], "not wanted")
        clock.advance(days=29)
        young = await store.retention.prune(MONTH, WEEK)
        clock.advance(days=2)
        parts = [await store.retention.prune(MONTH, WEEK, limit=2) for _ in range(3)]
        left = [row.user_id for row in await store.history.list()]
    assert young == Pruned()
    assert parts == [Pruned(2), Pruned(1), Pruned()]
    assert left == ["dina"]
