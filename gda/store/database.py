"""One database: its engine, its clock, and the two ways of using it (read, write)."""

import math
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gda.errors import UsageError
from gda.settings import PLAIN_NAME
from gda.store import sqlite_driver

SQLITE_BUSY_MILLISECONDS = 30_000
DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg"}


TRUSTED_SECONDS = 1.0
"""A connection that was in use so shortly ago is taken to live; whatever ends it would also meet one in use."""

_POSTGRESQL_NOW = text("SELECT clock_timestamp()")
_IDLE = "SET idle_in_transaction_session_timeout = {}"
_SEARCH = 'SET search_path = "{}"'


class Clock(Protocol):
    """Tells the time inside a transaction."""

    async def now(self, connection: AsyncConnection) -> datetime:
        """The current instant, aware UTC."""
        ...


class DatabaseClock:
    """The database's own clock: the one clock that all workers share, so that leases compare like with like."""

    async def now(self, connection: AsyncConnection) -> datetime:
        """Ask the database, inside the transaction that goes on to write.

        SQLite runs inside this process and knows no clock but this machine's, so reading that is the same for less.
        """
        if connection.dialect.name == "sqlite":
            return datetime.now(UTC)
        instant: datetime = (await connection.execute(_POSTGRESQL_NOW)).scalar_one()
        return instant.astimezone(UTC)


class Database:
    """An engine with a clock; every statement of GDA runs inside :meth:`read` or :meth:`write`."""

    def __init__(self, engine: AsyncEngine, clock: Clock, schema: str | None = None) -> None:
        self.engine = engine
        self.schema = schema
        self._readers = engine.execution_options(gda_reads=True)
        self.clock = clock

    @property
    def is_sqlite(self) -> bool:
        """Whether row locks are out of reach and the one writer lock takes their place."""
        return self.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write (``BEGIN IMMEDIATE`` on SQLite, so that it never fails half-way on a lock)."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads and blocks no writer."""
        async with self._readers.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


def open_database(
    url: str, *, clock: Clock | None = None, pool_size: int = 5, patience: timedelta = timedelta(seconds=60)
) -> Database:
    """Make an engine for ``url``; connects on first use.

    Args:
        url: SQLAlchemy URL with ``sqlite+aiosqlite`` or ``postgresql+asyncpg`` (a bare dialect name gets its driver);
            ``?schema=NAME`` puts GDA's tables into that schema of a PostgreSQL.
        clock: defaults to the database's own.
        pool_size: connections kept.
        patience: how long PostgreSQL waits inside a transaction for a process that says nothing, before it ends the
            transaction and frees its rows (a suspended machine). SQLite has nothing like it.

    Raises:
        UsageError: the URL cannot be read or names another database.
    """
    try:
        parsed = make_url(url)
        dialect, _, driver = parsed.drivername.partition("+")
        if DRIVERS.get(dialect) is None or driver not in ("", DRIVERS[dialect]):
            raise UsageError(
                f"database {parsed.drivername!r}: use sqlite+aiosqlite or postgresql+asyncpg in GDA_DATABASE_URL"
            )
        parsed = parsed.set(drivername=f"{dialect}+{DRIVERS[dialect]}")
        schema = _schema_of(parsed)
        parsed = parsed.difference_update_query(["schema"])
        if dialect == "sqlite":
            return Database(_sqlite_engine(parsed, pool_size), clock or DatabaseClock())
        engine = _postgresql_engine(parsed, pool_size, patience, schema)
    except (ArgumentError, NoSuchModuleError):
        raise UsageError(
            "GDA_DATABASE_URL cannot be read; it looks like postgresql+asyncpg://user:pass@host/name"
        ) from None
    return Database(engine, clock or DatabaseClock(), schema)


def _schema_of(url: URL) -> str | None:
    given = url.query.get("schema")
    if given is None:
        return None
    if not url.drivername.startswith("postgresql"):
        raise UsageError(f"schema {given!r}: only PostgreSQL has schemas; take it out of GDA_DATABASE_URL")
    if not isinstance(given, str) or not PLAIN_NAME.fullmatch(given):
        raise UsageError(
            f"schema {given!r} is no plain name: write up to 63 of a-z, 0-9 and _, first a letter, not pg_"
        )
    return given


def _postgresql_engine(url: URL, pool_size: int, patience: timedelta, schema: str | None) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=pool_size)
    _ask_rested_connections(engine)
    milliseconds = round(patience.total_seconds() * 1000)

    # First of all, for SQLAlchemy asks a new server for its default schema.
    @event.listens_for(engine.sync_engine, "connect", insert=True)
    def _configure(connection: Any, _record: Any) -> None:
        # Said after connecting: poolers such as pgbouncer refuse settings that they do not know in the start message.
        connection.run_async(lambda driver: driver.execute(_IDLE.format(milliseconds)))
        if schema is not None:
            # The path, rather than a name in each statement: conditions spelled as text and migrations follow it too.
            connection.run_async(lambda driver: driver.execute(_SEARCH.format(schema)))

    return engine


def _ask_rested_connections(engine: AsyncEngine) -> None:
    """Make sure, before it is used, that a connection lives which has lain in the pool for a while.

    SQLAlchemy's own way (``pool_pre_ping``) asks each time: three round trips, as many as a small transaction has.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _wakes(connection: Any, record: Any, _fairy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) < TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # The pool makes another one.


def _sqlite_engine(url: Any, pool_size: int) -> AsyncEngine:
    asked = {"timeout": SQLITE_BUSY_MILLISECONDS / 1000, "async_creator_fn": sqlite_driver.connect}
    engine = create_async_engine(url, pool_size=pool_size, connect_args=asked)

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would begin deferred ones, which fail on lock upgrade.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"busy_timeout = {SQLITE_BUSY_MILLISECONDS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        begin = "BEGIN" if connection.get_execution_options().get("gda_reads") else "BEGIN IMMEDIATE"
        # Past SQLAlchemy's own execution, which costs more than the statement; its errors stay what it makes of them.
        try:
            connection.connection.dbapi_connection.cursor().execute(begin)
        except sqlite3.Error as error:
            raise DBAPIError.instance(begin, None, error, sqlite3.Error) from error

    return engine
