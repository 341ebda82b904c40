"""Setting databases back, so that what was to come lies in the past: an hour away is lived in a second.

Every instant of a database moves by the same time, those in names and documents too, while no process has it open. What
comes back finds exactly what it would find after that time, where all schedules repeat within it: whole hours and
hourly crons. What is not lived is whatever would have gone on meanwhile, and in an outage nothing does.
"""

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

_NO_INSTANT = {"total_run_time"}
"""Columns of Prefect's that are spans of time, though they are stored as instants."""
_KEY = re.compile(r"^(scheduled \S+ \S+ )(.+)$")
"""A scheduled run's idempotency key ends with its instant: ``scheduled DEPLOYMENT SCHEDULE INSTANT``."""


def set_back(file: Path, span: timedelta) -> int:
    """Move every instant of an SQLite database into the past; returns how many values were moved.

    Args:
        file: the database, which nobody has open.
        span: how far.
    """
    with closing(sqlite3.connect(file)) as database, database:
        moved = sum(_set_back_column(database, table, column, span) for table, column in _instants(database))
        if ("flow_run", "expected_start_time") in _instants(database):
            moved += _set_back_keys(database, span) + _set_back_states(database, span)
        return moved


def _instants(database: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, name)
        for table in tables
        for _, name, kind, *_ in database.execute(f"PRAGMA table_info('{table}')")
        if kind.upper() in ("DATETIME", "TIMESTAMP") and name not in _NO_INSTANT
    ]


def _set_back_column(database: sqlite3.Connection, table: str, column: str, span: timedelta) -> int:
    query = f'SELECT DISTINCT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL'  # noqa: S608
    changes = [(_earlier(value, span), value) for (value,) in database.execute(query)]
    # Earliest first: a value must not take the place of one that has yet to move.
    write = f'UPDATE "{table}" SET "{column}" = ? WHERE "{column}" = ?'  # noqa: S608
    return sum(database.execute(write, change).rowcount for change in sorted(changes, key=lambda pair: pair[1]))


def _set_back_keys(database: sqlite3.Connection, span: timedelta) -> int:
    rows = database.execute("SELECT id, idempotency_key FROM flow_run WHERE idempotency_key LIKE 'scheduled %'")
    found = [(identity, _KEY.match(key)) for identity, key in rows.fetchall()]
    keys = [(f"{key[1]}{_earlier(key[2], span)}", identity) for identity, key in found if key]
    # In two steps, for keys are unique: one moved may equal another that is moved after it.
    database.executemany("UPDATE flow_run SET idempotency_key = '-' || id WHERE id = ?", [(one,) for _, one in keys])
    return database.executemany("UPDATE flow_run SET idempotency_key = ? WHERE id = ?", keys).rowcount


def _set_back_states(database: sqlite3.Connection, span: timedelta) -> int:
    changes = []
    for identity, details in database.execute("SELECT id, state_details FROM flow_run_state").fetchall():
        told = json.loads(details)
        if told.get("scheduled_time"):
            told["scheduled_time"] = _earlier(told["scheduled_time"], span)
            changes.append((json.dumps(told), identity))
    return database.executemany("UPDATE flow_run_state SET state_details = ? WHERE id = ?", changes).rowcount


def _earlier(text: str, span: timedelta) -> str:
    """The instant in its own spelling, which databases compare as text."""
    moved = datetime.fromisoformat(text) - span
    separator = "T" if "T" in text else " "
    return moved.isoformat(separator, "microseconds" if "." in text else "auto")
