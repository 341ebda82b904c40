"""Two transactions that wait for each other on PostgreSQL: it ends one of them, whose group is done again."""

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gda.store import Database
from gda.store import group_commit as module
from gda.store.group_commit import GroupCommit
from tests.builders import a_database


class Crossing:
    """Groups that take two locks, the second only when the other group has its first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._both_wait = asyncio.Barrier(2)
        self.tries = 0

    async def in_order(self, first: int, second: int) -> str:
        tried = 0

        async def verb(connection, items, now):
            nonlocal tried
            tried += 1
            self.tries += 1
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            await connection.execute(lock, {"key": first})
            if tried == 1:
                await self._both_wait.wait()
            await connection.execute(lock, {"key": second})
            return ["done" for _ in items]

        return await GroupCommit(self._database.write, self._database.clock)(verb, None)


async def test_the_group_that_postgresql_ends_is_done_again_and_nobody_hears_of_it(postgres_url):
    async with a_database(postgres_url) as database:
        crossing = Crossing(database)
        answers = await asyncio.gather(crossing.in_order(1, 2), crossing.in_order(2, 1))

    assert answers == ["done", "done"]
    assert crossing.tries == 3


async def test_without_tries_left_its_callers_are_told(postgres_url, monkeypatch):
    monkeypatch.setattr(module, "TRIES", 1)
    async with a_database(postgres_url) as database:
        crossing = Crossing(database)
        ends = await asyncio.gather(crossing.in_order(1, 2), crossing.in_order(2, 1), return_exceptions=True)

    [told] = [one for one in ends if one != "done"]
    assert isinstance(told, DBAPIError)
    assert "deadlock detected" in str(told)
