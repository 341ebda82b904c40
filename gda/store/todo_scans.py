"""The two scans over everybody's to-dos; each batch finds and writes in one transaction, so no crash leaves a half.

Workers that scan at once take different rows (``SKIP LOCKED``; on SQLite the one writer goes first), and the unique
constraints of ``gda_todos`` and ``gda_notifications`` refuse whatever would act twice all the same.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.store.conditions import IDS, Among
from gda.store.database import Database
from gda.store.notifications import inbox_row, insert_notices
from gda.store.reminders import copy_reminders
from gda.store.tables import users
from gda.store.todo_finds import todo_from
from gda.store.todo_tables import todos
from gda.store.todos import new_row, repeat_columns
from gda.todos import Due, NewTodo, Successor, Todo, nominal_of, successor

BATCH = 500
NAMESPACE = uuid.UUID("5a4f3f0e-6d0c-5d0e-8f4b-3a6f8f7b2d11")
_UNPROCESSED = text(
    "gda_todos.completed_at IS NOT NULL AND gda_todos.repeat_rule IS NOT NULL AND gda_todos.last_processed_at IS NULL"
)
_OPEN = text("gda_todos.status = 'open' AND gda_todos.due_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of one completed to-do that repeats: the id of the next one, or a ``note`` why there is none."""

    todo_id: str
    user_id: str
    next_id: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """One to-do that is overdue now; ``notified`` says whether its user hears of it for this due date."""

    todo_id: str
    user_id: str
    due_at: datetime
    notified: bool


class TodoScans:
    """The scans of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def follow(self, *, limit: int = BATCH) -> list[Followed]:
        """Make the next to-do of each completed one that repeats, reminders too; call again until nothing is found.

        What cannot be followed (a rule that no longer parses) is marked with its problem, and not looked at again.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            rows = (await connection.execute(_locked(connection, completed(limit)))).all()
            decided = [_decide(todo_from(row), row.timezone, now) for row in rows]
            new = [_next_row(todo, found, now) for todo, found, _ in decided if found is not None]
            made = await _insert_todos(connection, new)
            followed = {row["made_from"]: (row["id"], row["due_at"]) for row in new if row["id"] in made}
            await copy_reminders(connection, followed, now)
            if decided:
                marks = [{"b_id": todo.id, "b_now": now, "b_problem": problem} for todo, _, problem in decided]
                await connection.execute(_PROCESSED, marks)
        return [_followed(todo, found, problem, made) for todo, found, problem in decided]

    async def mark_overdue(self, *, notify: bool, limit: int = BATCH) -> list[Marked]:
        """Mark what is open and past due; call again until nothing is found.

        Args:
            notify: write each into its user's inbox, once for each due date; never into a paused user's.
            limit: most to-dos in this transaction.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            rows = (await connection.execute(_locked(connection, past_due(now, limit)))).all()
            told = [row for row in rows if notify and row.user_status != "paused"]
            if rows:
                await connection.execute(_OVERDUE, {"ids": [row.id for row in rows], "b_now": now})
            new = await insert_notices(connection, [_notice(row, now) for row in told])
        return [Marked(row.id, row.user_id, row.due_at, (row.user_id, _cause(row)) in new) for row in rows]


def completed(limit: int) -> Select[Any]:
    """Completed to-dos that repeat and were not processed, with their users' timezones, the first completed first."""
    joined = select(todos, users.c.timezone).join(users, users.c.id == todos.c.user_id)
    return joined.where(_UNPROCESSED).order_by(todos.c.completed_at).limit(limit)


def past_due(now: datetime, limit: int) -> Select[Any]:
    """Open to-dos whose due date has passed, with their users' timezone and status, the earliest due first."""
    wanted = (todos.c.id, todos.c.user_id, todos.c.title, todos.c.due_at, todos.c.due_day, users.c.timezone)
    joined = select(*wanted, users.c.status.label("user_status")).join(users, users.c.id == todos.c.user_id)
    return joined.where(_OPEN, todos.c.due_at <= now).order_by(todos.c.due_at).limit(limit)


def _locked(connection: AsyncConnection, query: Select[Any]) -> Select[Any]:
    if connection.dialect.name == "postgresql":
        return query.with_for_update(of=todos, skip_locked=True)
    return query


def _decide(todo: Todo, timezone: str, now: datetime) -> tuple[Todo, Successor | None, str]:
    assert todo.repeat is not None
    assert todo.series_slot is not None
    assert todo.due_at is not None
    try:
        found = successor(todo.repeat, slot=todo.series_slot, due_at=todo.due_at, timezone=timezone, now=now)
    except Exception as error:  # One row that cannot be read must not stop everybody else's.
        return todo, None, f"the next date cannot be found ({type(error).__name__}); set --repeat anew"
    return todo, found, ""


def next_id(todo: Todo) -> str:
    """The id of the to-do that follows a completion; the same however often it is made."""
    return str(uuid.uuid5(NAMESPACE, f"{todo.id}/{todo.completed_at}"))


def _next_row(todo: Todo, found: Successor, now: datetime) -> dict[str, Any]:
    assert todo.repeat is not None
    kept = NewTodo(todo.user_id, todo.title, todo.description, todo.priority, todo.tags, found.due, id=next_id(todo))
    return {
        **new_row(kept, now),
        **repeat_columns(todo.repeat),
        "series_id": todo.series_id,
        "series_slot": found.slot,
        "made_from": todo.id,
        "made_from_completed_at": todo.completed_at,
    }


async def _insert_todos(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[str]:
    if not rows:
        return set()
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(todos).on_conflict_do_nothing().returning(todos.c.id)
    return set((await connection.execute(statement, list(rows))).scalars())


def _followed(todo: Todo, found: Successor | None, problem: str, made: set[str]) -> Followed:
    if found is None:
        return Followed(todo.id, todo.user_id, None, problem or "the series has ended")
    identity = next_id(todo)
    if identity not in made:
        return Followed(todo.id, todo.user_id, None, f"{found.slot} of the series is there already")
    return Followed(todo.id, todo.user_id, identity)


def _cause(row: Any) -> str:
    return f"overdue/{row.id}/{row.due_at:%Y-%m-%dT%H:%M:%SZ}"


def _notice(row: Any, now: datetime) -> dict[str, Any]:
    shown = row.due_day or nominal_of(Due(row.due_at), row.timezone).replace("T", " ")
    return inbox_row(row.user_id, _cause(row), row.title, f"Overdue: it was due {shown}.", now)


_PROCESSED = (
    update(todos)
    .where(todos.c.id == bindparam("b_id"))
    .values(last_processed_at=bindparam("b_now"), problem=bindparam("b_problem"))
)
_OVERDUE = (
    update(todos)
    .where(Among(todos.c.id, IDS))
    .values(status="overdue", overdue_at=bindparam("b_now", type_=todos.c.overdue_at.type))
)
