"""A process that stands still inside a transaction holds its rows no longer than PostgreSQL is told to wait for it."""

import asyncio
from datetime import timedelta

from sqlalchemy import text

from gda.store import ByHand, Scope, Waker, Worker, open_database
from tests.builders import a_store, a_user_with_digest

ALL = Scope("digest")


async def test_postgresql_frees_the_rows_of_a_process_that_stands_still_inside_a_transaction(postgres_url):
    frozen = open_database(postgres_url, patience=timedelta(seconds=0.3))
    async with a_store(postgres_url) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ALL, ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(ALL, Worker("run"), limit=1)
        stuck = await frozen.engine.connect()
        await stuck.execute(text("SELECT 1 FROM gda_occurrences FOR UPDATE"))
        number = await asyncio.wait_for(store.ledger.start(claim), 10)
        await stuck.invalidate()
        await stuck.close()
    await frozen.close()

    assert number == 1
