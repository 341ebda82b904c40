"""The SQL that GDA sends, recorded, and the same SQL sent again straight through the driver."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import make_url

from gda.store import Database, sqlite_driver

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


@dataclass(frozen=True, slots=True)
class Statement:
    """One call of the driver; ``parameters`` are a list of rows where ``many``."""

    sql: str
    parameters: Any = ()
    many: bool = False


@dataclass
class Script:
    """Transactions in the order in which they ended, each a list of statements and its ending."""

    transactions: list[tuple[list[Statement], str]] = field(default_factory=list)

    @property
    def statements(self) -> list[Statement]:
        """All statements, in order."""
        return [statement for statements, _ in self.transactions for statement in statements]

    @property
    def commits(self) -> int:
        """Transactions that were committed."""
        return sum(ending == "COMMIT" for _, ending in self.transactions)


@contextmanager
def recorded(database: Database) -> Iterator[Script]:
    """Record what is sent through ``database`` until the block ends."""
    script, running = Script(), dict[int, list[Statement]]()
    engine = database.engine.sync_engine

    def note(connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        rows = list(parameters) if many else parameters
        running.setdefault(id(connection.connection.dbapi_connection), []).append(Statement(sql, rows, many))

    def commit(connection: Any) -> None:
        end(connection, "COMMIT")

    def rollback(connection: Any) -> None:
        end(connection, "ROLLBACK")

    def end(connection: Any, ending: str) -> None:
        if statements := running.pop(id(connection.connection.dbapi_connection), None):
            script.transactions.append((statements, ending))

    listeners: dict[str, Any] = {"before_cursor_execute": note, "commit": commit, "rollback": rollback}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield script
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)


async def replayed(script: Script, url: str, *, own: bool = False) -> float:
    """Send ``script`` to the database at ``url`` through its bare driver; the seconds it took.

    ``own``: through GDA's layer over SQLite's driver, instead of aiosqlite as everybody gets it.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if own:
            return await _through_sqlite(script, sqlite_driver.connect(str(parsed.database), **ALONE), _in_one_step)
        return await _through_sqlite(script, aiosqlite.connect(str(parsed.database), **ALONE), _in_three)
    return await _through_asyncpg(script, parsed.set(drivername="postgresql").render_as_string(hide_password=False))


ALONE: dict[str, Any] = {"isolation_level": None}
"""The script says itself when a transaction begins."""


async def _through_sqlite(script: Script, connecting: Any, send: Callable[[Any, Statement], Awaitable[None]]) -> float:
    async with connecting as connection:
        for pragma in PRAGMAS:
            await connection.execute(f"PRAGMA {pragma}")
        started = time.perf_counter()
        for statements, ending in script.transactions:
            begin = "BEGIN IMMEDIATE" if ending == "COMMIT" else "BEGIN"
            for statement in (Statement(begin), *statements, Statement(ending)):
                await send(connection, statement)
        return time.perf_counter() - started


async def _in_three(connection: Any, statement: Statement) -> None:
    if statement.many:
        await connection.executemany(statement.sql, statement.parameters)
        return
    cursor = await connection.execute(statement.sql, statement.parameters)
    await cursor.fetchall()
    await cursor.close()


async def _in_one_step(connection: Any, statement: Statement) -> None:
    cursor = await connection.cursor()
    await (cursor.executemany if statement.many else cursor.execute)(statement.sql, statement.parameters)


async def _through_asyncpg(script: Script, url: str) -> float:
    import asyncpg  # type: ignore[import-untyped]

    connection = await asyncpg.connect(url)
    try:
        started = time.perf_counter()
        for statements, ending in script.transactions:
            await connection.execute("BEGIN")
            for statement in statements:
                if statement.many:
                    await connection.executemany(statement.sql, statement.parameters)
                else:
                    await connection.fetch(statement.sql, *statement.parameters)
            await connection.execute(ending)
        return time.perf_counter() - started
    finally:
        await connection.close()
