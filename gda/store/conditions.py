"""Conditions on status that a partial index can serve: written into the statement, for SQLite compares texts.

With a bound parameter SQLite cannot know that ``status IN (?, ?)`` is the index's own condition, and reads the whole
table: an empty claim took 40 ms beside 100,000 settled rows. ``tests/integration/test_plans.py`` holds it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Dialect,
    String,
    Text,
    TypeDecorator,
    bindparam,
    literal_column,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from gda.lifecycle import Status
from gda.store.tables import occurrences


def status_is(*statuses: Status) -> ColumnElement[bool]:
    """The occurrences in one of ``statuses``."""
    values = [literal_column(f"'{status.value}'", String) for status in statuses]
    return occurrences.c.status.in_(values) if len(values) > 1 else occurrences.c.status == values[0]


class Ids(TypeDecorator[list[str]]):
    """A list of ids that travels as one value: an array on PostgreSQL, JSON text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """An array where there are arrays."""
        return dialect.type_descriptor(ARRAY(String) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        """Write the list as JSON where there are no arrays."""
        return value if dialect.name == "postgresql" else json.dumps(value)


class Among(FunctionElement[bool]):
    """The rows whose column is one of ``IDS``: ``Among(column, IDS)``, executed with ``{"ids": [...]}``.

    So the statement is the same for one id and for 256, and can be made once. With a parameter for each, SQLAlchemy
    spelled it anew for every number of them: an eighth of the ledger's CPU.
    """

    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> "Among":
        """Stand as it is: ``(… IN …) = 1``, which SQLAlchemy makes for SQLite otherwise, keeps it from its indexes."""
        return self


@compiles(Among)
def _among_array(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **options)} = ANY({compiler.process(ids, **options)})"


@compiles(Among, "sqlite")
def _among_json(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = element.clauses
    # Both parts are compiled SQL: the ids themselves stay parameters.
    where, each = compiler.process(column, **options), compiler.process(ids, **options)
    return f"{where} IN (SELECT value FROM json_each({each}))"  # noqa: S608


IDS = bindparam("ids", type_=Ids())


def alike(several: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """What to execute a write of ``Among(column, IDS)`` with: values once, and the ids of all rows that get them.

    Args:
        several: ids with their values; most of a flood get the same.
    """
    ids: dict[tuple[tuple[str, Any], ...], list[str]] = defaultdict(list)
    for identity, values in several:
        ids[tuple(values.items())].append(identity)
    return [dict(values) | {"ids": those} for values, those in ids.items()]


ENABLED = text("gda_schedules.enabled")
"""The schedules that run."""
