"""Conditions on status that a partial index can serve: written into the statement, for SQLite compares texts.

With a bound parameter SQLite cannot know that ``status IN (?, ?)`` is the index's own condition, and reads the whole
table: an empty claim took 40 ms beside 100,000 settled rows. ``tests/integration/test_plans.py`` holds it.
"""

from sqlalchemy import ColumnElement, String, literal_column, text

from gda.lifecycle import Status
from gda.store.tables import occurrences


def status_is(*statuses: Status) -> ColumnElement[bool]:
    """The occurrences in one of ``statuses``."""
    values = [literal_column(f"'{status.value}'", String) for status in statuses]
    return occurrences.c.status.in_(values) if len(values) > 1 else occurrences.c.status == values[0]


ENABLED = text("gda_schedules.enabled")
"""The schedules that run."""
