"""To-dos: add, find, change, complete, remove."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, insert, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import AlreadyExists, UsageError
from gda.store.database import Database
from gda.store.reminders import DONE, move_reminders, resume_reminders, stop_reminders
from gda.store.todo_finds import find_todo, todo_from
from gda.store.todo_tables import reminders, todos
from gda.store.users import find_user
from gda.todos import Due, NewTodo, Repeat, Todo, checked, due_on

FIRST_SHOWN = case({"overdue": 0, "open": 1}, value=todos.c.status, else_=2)


@dataclass(frozen=True, slots=True)
class Change:
    """What of a to-do shall change; None leaves it as it is.

    A new ``due`` date moves this one only; a new ``repeat`` begins a series with it. ``without`` names what is taken
    away: ``due`` or ``repeat``.
    """

    title: str | None = None
    description: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] | None = None
    due: Due | None = None
    repeat: Repeat | None = None
    without: frozenset[str] = frozenset()


class Todos:
    """The to-dos of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewTodo) -> Todo:
        """Write one down.

        Raises:
            UnknownUser: no such user; ``user_id`` may be an address.
            AlreadyExists: the id is taken.
            UsageError: a value breaks its rule.
        """
        new = checked(new)
        async with self._database.write() as connection:
            owner = await find_user(connection, new.user_id)
            now = await self._database.clock.now(connection)
            row = new_row(replace(new, user_id=owner.id), now)
            try:
                await connection.execute(insert(todos), row)
            except IntegrityError:
                raise AlreadyExists(f"to-do {row['id']!r} exists already; `gda todo list` shows them") from None
            return await find_todo(connection, row["id"])

    async def get(self, which: str) -> Todo:
        """Find a to-do by its id or an unambiguous beginning of it. Raises UnknownTodo."""
        async with self._database.read() as connection:
            return await find_todo(connection, which)

    async def list(
        self, *, user_id: str | None = None, status: str | None = None, tag: str | None = None, limit: int = 50
    ) -> list[Todo]:
        """To-dos, overdue ones first and done ones last, by due date; narrowed where asked."""
        query = select(todos).order_by(FIRST_SHOWN, todos.c.due_at.is_(None), todos.c.due_at, todos.c.id).limit(limit)
        if user_id is not None:
            query = query.where(todos.c.user_id == user_id)
        if status is not None:
            query = query.where(todos.c.status == status)
        if tag is not None:
            query = query.where(_tagged(tag, sqlite=self._database.is_sqlite))
        async with self._database.read() as connection:
            return [todo_from(row) for row in await connection.execute(query)]

    async def change(self, which: str, change: Change) -> Todo:
        """Change a to-do; a due date that moves takes its reminders along and the mark of being overdue away.

        Raises:
            UnknownTodo: no such to-do.
            UsageError: a value breaks its rule.
        """
        async with self._database.write() as connection:
            old = await find_todo(connection, which, lock=True)
            new = _changed(old, change)
            values = _columns(new) | _of_due(old, new) | _of_repeat(old, new)
            await connection.execute(update(todos).where(todos.c.id == old.id).values(**values))
            if new.due_at != old.due_at:
                await move_reminders(connection, new, await self._database.clock.now(connection))
            return await find_todo(connection, old.id)

    async def complete(self, which: str) -> Todo:
        """Mark a to-do as done, which ends its reminders; one that is done stays as it is. Raises UnknownTodo."""
        async with self._database.write() as connection:
            todo = await find_todo(connection, which, lock=True)
            if todo.completed:
                return todo
            now = await self._database.clock.now(connection)
            values = {"status": "done", "completed_at": now, "last_processed_at": None}
            await connection.execute(update(todos).where(todos.c.id == todo.id).values(**values))
            await stop_reminders(connection, reminders.c.todo_id == todo.id, DONE, now)
            return await find_todo(connection, todo.id)

    async def reopen(self, which: str) -> Todo:
        """Take a completion back; reminders to come count again, what followed stays. Raises UnknownTodo."""
        async with self._database.write() as connection:
            todo = await find_todo(connection, which, lock=True)
            if todo.completed:
                values = {"status": "open", "completed_at": None, "overdue_at": None, "last_processed_at": None}
                await connection.execute(update(todos).where(todos.c.id == todo.id).values(**values))
                await resume_reminders(connection, todo.id, await self._database.clock.now(connection))
            return await find_todo(connection, todo.id)

    async def remove(self, which: str) -> Todo:
        """Remove a to-do with its reminders; a series ends with its last one. Raises UnknownTodo."""
        async with self._database.write() as connection:
            todo = await find_todo(connection, which, lock=True)
            now = await self._database.clock.now(connection)
            await stop_reminders(connection, reminders.c.todo_id == todo.id, "the to-do was removed", now)
            await connection.execute(delete(todos).where(todos.c.id == todo.id))
        return todo


def new_row(new: NewTodo, now: datetime) -> dict[str, Any]:
    """The values of one new row."""
    identity = new.id or str(uuid.uuid4())
    row = {"id": identity, "user_id": new.user_id, "created_at": now, **_columns(new)}
    return row | (_series(new.repeat) if new.repeat else {})


async def move_days(connection: AsyncConnection, user_id: str, timezone: str, now: datetime) -> int:
    """Let what is due on a day end with that day in the user's new timezone; returns how many moved."""
    query = select(todos).where(todos.c.user_id == user_id, todos.c.due_day.is_not(None), todos.c.status != "done")
    found = [todo_from(row) for row in await connection.execute(query)]
    for todo in found:
        due = due_on(str(todo.due_day), timezone)
        moved = replace(todo, due_at=due.at)
        values = {"due_at": due.at} | _of_due(todo, moved)
        await connection.execute(update(todos).where(todos.c.id == todo.id).values(**values))
        await move_reminders(connection, moved, now)
    return len(found)


def _changed(old: Todo, change: Change) -> Todo:
    if change.due is not None and "due" in change.without:
        raise UsageError("a due date was given and taken away: say one of them")
    given = {
        name: value
        for name in ("title", "description", "priority", "tags", "repeat")
        if (value := getattr(change, name)) is not None
    }
    new = replace(old, **given)
    if change.due is not None or "due" in change.without:
        due = change.due
        new = replace(new, due_at=due.at if due else None, due_day=due.day if due else None)
    if "repeat" in change.without:
        new = replace(new, repeat=None)
    sound = checked(
        NewTodo(new.user_id, new.title, new.description, new.priority, new.tags, new.due, new.repeat),
    )
    return replace(new, title=sound.title, tags=sound.tags)


def _columns(new: NewTodo | Todo) -> dict[str, Any]:
    due = new.due
    return {
        "title": new.title,
        "description": new.description,
        "priority": new.priority,
        "tags": list(new.tags),
        "due_at": due.at if due else None,
        "due_day": due.day if due else None,
    }


def _of_due(old: Todo, new: Todo) -> dict[str, Any]:
    if old.due_at == new.due_at or old.completed:
        return {}
    return {"status": "open", "overdue_at": None}


def _of_repeat(old: Todo, new: Todo) -> dict[str, Any]:
    if new.repeat == old.repeat:
        return {}
    if new.repeat is None:
        return {"repeat_rule": None}
    return _series(new.repeat)


def _series(repeat: Repeat) -> dict[str, Any]:
    return repeat_columns(repeat) | {"series_id": str(uuid.uuid4()), "series_slot": repeat.start}


def repeat_columns(repeat: Repeat) -> dict[str, Any]:
    """A recurrence as columns."""
    return {f"repeat_{name}": getattr(repeat, name) for name in Repeat.__dataclass_fields__}


def _tagged(tag: str, *, sqlite: bool) -> ColumnElement[bool]:
    if not sqlite:
        return type_coerce(todos.c.tags, JSONB).contains([tag])
    each = func.json_each(todos.c.tags).table_valued("value")
    return exists(select(1).select_from(each).where(each.c.value == tag))
