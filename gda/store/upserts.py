"""Insert-or-replace by primary key, in the one spelling both databases share."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def upsert(connection: AsyncConnection, table: Table, *, keep: Collection[str] = (), rising: str | None = None) -> Any:
    """An INSERT into ``table`` that replaces the row of the same primary key, but for the columns in ``keep``.

    Where ``rising`` names a column, a row is replaced only by one that has more of it.
    """
    return _upsert(connection.dialect.name, table, tuple(keep), rising)


@lru_cache(maxsize=64)
def _upsert(dialect_name: str, table: Table, keep: tuple[str, ...], rising: str | None) -> Any:
    # Made once: SQLAlchemy compiles each new one, for it names the excluded row anew.
    dialect = sqlite if dialect_name == "sqlite" else postgresql
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    replaced = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in (*keys, *keep)
    }
    where = statement.excluded[rising] > table.c[rising] if rising else None
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced, where=where)
