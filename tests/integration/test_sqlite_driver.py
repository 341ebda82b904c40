"""SQLite's driver with one message for a statement: rows, counts, errors and rollbacks are as with aiosqlite's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from gda.store import Database, open_database
from gda.store import database as database_module

SLOWLY = text(
    "INSERT INTO notes SELECT value FROM (WITH RECURSIVE up(value) AS "
    "(SELECT 100 UNION ALL SELECT value + 1 FROM up WHERE value < 3000000) SELECT value FROM up)"
)


@asynccontextmanager
async def a_database(folder: Path) -> AsyncIterator[Database]:
    """One with a table of numbers, and a single connection."""
    database = open_database(f"sqlite+aiosqlite:///{folder / 'notes.db'}", pool_size=1)
    try:
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE notes (number INTEGER PRIMARY KEY)"))
        yield database
    finally:
        await database.close()


async def numbers(database: Database) -> list[int]:
    """What the table holds, in order."""
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT number FROM notes ORDER BY 1"))).scalars())


async def test_statements_give_their_rows_and_say_how_many_they_wrote(tmp_path):
    async with a_database(tmp_path) as database:
        async with database.write() as connection:
            insert = text("INSERT INTO notes VALUES (:n)")
            many = await connection.execute(insert, [{"n": n} for n in range(5)])
            again = await connection.execute(text("INSERT INTO notes VALUES (7), (8) RETURNING number + 1"))
            gone = await connection.execute(text("DELETE FROM notes WHERE number < 2"))
        assert (many.rowcount, again.scalars().all(), gone.rowcount) == (5, [8, 9], 2)
        assert await numbers(database) == [2, 3, 4, 7, 8]


async def test_what_fails_is_rolled_back_and_the_connection_goes_on(tmp_path):
    async with a_database(tmp_path) as database:

        async def twice() -> None:
            async with database.write() as connection:
                await connection.execute(text("INSERT INTO notes VALUES (1)"))
                await connection.execute(text("INSERT INTO notes VALUES (1)"))

        with pytest.raises(IntegrityError):
            await twice()
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO notes VALUES (2)"))
        assert await numbers(database) == [2]


async def test_a_transaction_abandoned_in_the_middle_of_a_statement_leaves_nothing_and_blocks_nobody(tmp_path):
    async with a_database(tmp_path) as database:
        begun = asyncio.Event()

        async def abandoned() -> None:
            async with database.write() as connection:
                await connection.execute(text("INSERT INTO notes VALUES (1)"))
                begun.set()
                await connection.execute(SLOWLY)

        task = asyncio.create_task(abandoned())
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO notes VALUES (2)"))
        assert await numbers(database) == [2]


async def test_one_that_is_left_between_two_statements_is_rolled_back_too(tmp_path):
    async with a_database(tmp_path) as database:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
        async with database.engine.connect() as connection:
            await connection.execute(text("INSERT INTO notes VALUES (1)"))
        assert await numbers(database) == []


async def test_a_database_that_another_has_locked_is_refused_as_sqlalchemy_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "SQLITE_BUSY_MILLISECONDS", 50)
    async with a_database(tmp_path) as database, database.write():
        other = open_database(str(database.engine.url))
        with pytest.raises(OperationalError, match=r"database is locked(.|\n)*BEGIN IMMEDIATE"):
            async with other.write():
                pass
        await other.close()
