"""SQLite's driver with one message to its thread for each statement.

aiosqlite sends a message to the connection's thread for each step: a cursor, the statement, its rows, the cursor's end;
each waits for two switches of threads, which is most of what a small statement costs. Here a statement and all its rows
are one step, and a rollback after a commit is none. Everything else is aiosqlite's.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

CHUNK = 64


@dataclass(frozen=True, slots=True)
class _Answer:
    rows: list[Any]
    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None


def connect(path: str, **options: Any) -> aiosqlite.Connection:
    """Return a connection to be awaited, as ``aiosqlite.connect`` does; ``options`` go to ``sqlite3.connect``."""
    connection = Connection(lambda: sqlite3.connect(path, **options), CHUNK)
    # As SQLAlchemy does it with connections that it makes: one that is forgotten must not keep the process.
    connection._thread.daemon = True
    return connection


class Connection(aiosqlite.Connection):
    """A connection whose cursors perform a statement in one step."""

    _at_rest = True

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._at_rest = False
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]

    async def cursor(self) -> "Cursor":  # type: ignore[override]
        """A cursor, which costs nothing before it executes."""
        return Cursor(lambda step, *given: self._execute(step, self._conn, *given))

    async def commit(self) -> None:
        """Commit; from then on there is nothing to roll back until the next statement."""
        await super().commit()
        self._at_rest = True

    async def rollback(self) -> None:
        """Roll back, unless the last that was asked for was a commit that succeeded: the pool rolls back each time."""
        if not self._at_rest:
            await super().rollback()
            self._at_rest = True


class Cursor:
    """One statement with all its rows, as SQLAlchemy uses a cursor."""

    def __init__(self, perform: Callable[..., Awaitable[_Answer]]) -> None:
        self._perform = perform
        self._answer = _Answer([])

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute once and fetch every row."""
        self._answer = await self._perform(_once, statement, parameters)

    async def executemany(self, statement: str, several: Sequence[Sequence[Any]]) -> None:
        """Execute for each of several parameters."""
        self._answer = await self._perform(_each, statement, several)

    async def fetchall(self) -> list[Any]:
        """The rows, which are here already."""
        return self._answer.rows

    async def close(self) -> None:
        """Nothing is left to close."""

    @property
    def description(self) -> Any:
        """The columns; None where the statement gives no rows."""
        return self._answer.description

    @property
    def rowcount(self) -> int:
        """How many rows were written."""
        return self._answer.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The row that was inserted last."""
        return self._answer.lastrowid


def _once(connection: sqlite3.Connection, statement: str, parameters: Sequence[Any]) -> _Answer:
    return _answer(connection.execute(statement, parameters))


def _each(connection: sqlite3.Connection, statement: str, several: Sequence[Sequence[Any]]) -> _Answer:
    return _answer(connection.executemany(statement, several))


def _answer(cursor: sqlite3.Cursor) -> _Answer:
    rows = cursor.fetchall() if cursor.description else []
    answer = _Answer(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    cursor.close()
    return answer
