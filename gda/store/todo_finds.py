"""Finding to-dos inside a transaction, and making values of their rows."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import UnknownTodo
from gda.store.todo_tables import todos
from gda.todos import Repeat, Todo


async def find_todo(connection: AsyncConnection, which: str, *, lock: bool = False) -> Todo:
    """Find a to-do inside a transaction, by id or an unambiguous beginning. Raises UnknownTodo.

    ``lock`` keeps scans and other writers away from it until the transaction ends.
    """
    exact = (
        await connection.execute(_maybe_locked(connection, select(todos).where(todos.c.id == which), lock))
    ).first()
    if exact is not None:
        return todo_from(exact)
    query = select(todos).where(todos.c.id.startswith(which, autoescape=True)).limit(2)
    rows = (await connection.execute(_maybe_locked(connection, query, lock))).all()
    if len(rows) != 1 or not which:
        raise UnknownTodo(
            f"to-do {which!r} {'is ambiguous' if rows and which else 'does not exist'}; `gda todo list` shows ids"
        )
    return todo_from(rows[0])


def _maybe_locked(connection: AsyncConnection, query: Select[Any], lock: bool) -> Select[Any]:
    return query.with_for_update() if lock and connection.dialect.name == "postgresql" else query


def todo_from(row: Any) -> Todo:
    """Make the frozen value of a row."""
    repeat = None
    if row.repeat_rule is not None:
        repeat = Repeat(
            rule=row.repeat_rule,
            start=row.repeat_start,
            interval=row.repeat_interval,
            count=row.repeat_count,
            until=row.repeat_until,
            missed=row.repeat_missed,
        )
    names = [name for name in Todo.__dataclass_fields__ if name not in ("tags", "repeat")]
    return Todo(**{name: getattr(row, name) for name in names}, tags=tuple(row.tags), repeat=repeat)
