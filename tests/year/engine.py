"""The year's own engine: SQLite itself, in memory, in the thread that asks.

The production engine hands each step of each statement to a thread and waits for it: four hops per statement, most of
a year's time. Nobody else wants this thread, so here the same driver does each step at once. SQL, schema and
transactions are the real ones.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from gda.store import Database, sqlite_driver, upgrade
from tests.builders import VirtualClock


class AtOnce(sqlite_driver.Connection):
    """The driver's connection without its thread."""

    def __init__(self) -> None:
        super().__init__(lambda: sqlite3.connect(":memory:"), iter_chunk_size=64)
        self._tx: Any = _Steps()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._at_rest = False
        return fn(*args, **kwargs)

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()


class _Steps:
    """Stands where the driver's thread takes its orders from."""

    def put_nowait(self, order: tuple["asyncio.Future[Any] | None", Callable[[], Any]]) -> None:
        answer, step = order
        result = step()
        if answer is not None:
            answer.set_result(result)


@asynccontextmanager
async def a_quick_database(clock: VirtualClock) -> AsyncIterator[Database]:
    """A database in memory with the newest schema, for one user at a time."""

    async def connect() -> aiosqlite.Connection:
        return await AtOnce()

    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool, async_creator=connect)

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # As in production, but for the pragmas that are about files.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        reads = connection.get_execution_options().get("gda_reads")
        # Past SQLAlchemy's own execution, as in production.
        connection.connection.dbapi_connection.cursor().execute("BEGIN" if reads else "BEGIN IMMEDIATE")

    database = Database(engine, clock)
    try:
        await upgrade(database)
        yield database
    finally:
        await database.close()
