"""Conditions on status that a partial index can serve: written into the statement, for SQLite compares texts.

With a bound parameter SQLite cannot know that ``status IN (?, ?)`` is the index's own condition, and reads the whole
table: an empty claim took 40 ms beside 100,000 settled rows. ``tests/integration/test_plans.py`` holds it.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, any_, bindparam, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Status
from gda.store.tables import occurrences


def status_is(*statuses: Status) -> ColumnElement[bool]:
    """The occurrences in one of ``statuses``."""
    values = [literal_column(f"'{status.value}'", String) for status in statuses]
    return occurrences.c.status.in_(values) if len(values) > 1 else occurrences.c.status == values[0]


def among(connection: AsyncConnection, column: ColumnElement[Any], ids: Iterable[str]) -> ColumnElement[bool]:
    """The rows whose ``column`` is one of ``ids``, which travel as one value.

    So the statement is the same for one id and for 256: with a parameter for each, SQLAlchemy spelled it anew for every
    number of them, an eighth of the ledger's CPU.
    """
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(None, json.dumps(list(ids)))).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(None, list(ids), type_=ARRAY(String)))


ENABLED = text("gda_schedules.enabled")
"""The schedules that run."""
