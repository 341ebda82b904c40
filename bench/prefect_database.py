"""Where a measurement's Prefect server keeps its data: on PostgreSQL where that can be had, else on SQLite."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from gda.cli.demo.stage import PREFECT_DATABASE
from tests.support.postgres import SAFE, NoPostgres, running_postgres

POSTGRESQL, MEMORY, FILE = CHOICES = ("postgresql", "memory", "file")
EXTENSION = "pg_trgm"
"""What Prefect's migrations need: a distribution's packages have it, the wheel that the tests bring does not."""


@dataclass(frozen=True, slots=True)
class PrefectDatabase:
    """Which one it is, as people read it, and what makes an empty one's URL (None: a file in Prefect's home)."""

    name: str
    empty: Callable[[], Awaitable[str | None]]


@asynccontextmanager
async def prefect_database(wanted: str | None) -> AsyncIterator[PrefectDatabase]:
    """Have a database for Prefect's servers until the block ends.

    Args:
        wanted: one of ``CHOICES``; None is PostgreSQL or, where that cannot be had, SQLite in memory.

    Raises:
        NoPostgres: it was asked for and cannot be had.
    """
    with ExitStack() as stack:
        yield await _chosen(wanted, stack)


async def _chosen(wanted: str | None, stack: ExitStack) -> PrefectDatabase:
    if wanted == FILE:
        return PrefectDatabase("SQLite in a file", _in_a_file)
    if wanted == MEMORY:
        return PrefectDatabase("SQLite in memory", _in_memory)
    try:
        server = stack.enter_context(running_postgres(options=SAFE))
        await server.require(EXTENSION)
    except NoPostgres as error:
        if wanted == POSTGRESQL:
            raise
        return PrefectDatabase(f"SQLite in memory: {error}", _in_memory)
    return PrefectDatabase("PostgreSQL", server.create_database)


async def _in_memory() -> str | None:
    return PREFECT_DATABASE


async def _in_a_file() -> str | None:
    return None
