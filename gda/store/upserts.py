"""Insert-or-replace by primary key, in the one spelling both databases share."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def upsert(connection: AsyncConnection, table: Table, *, keep: Collection[str] = ()) -> Any:
    """An INSERT into ``table`` that replaces the row of the same primary key, but for the columns in ``keep``."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    replaced = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in (*keys, *keep)
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced)
