"""Reminders of to-dos: add, list, remove; and how they follow what becomes of their to-do, in its transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import AlreadyExists, UnknownTodo, UsageError
from gda.store.database import Database
from gda.store.holds import cancel
from gda.store.tables import occurrences
from gda.store.todo_finds import find_todo
from gda.store.todo_tables import reminders
from gda.todos import Reminder, Todo
from gda.todos.model import require_id

NAMESPACE = uuid.UUID("0d1f8f0a-6f0f-5a53-b7c1-52b7a2f4c633")
DONE = "the to-do is done"
MOVED = "the to-do was moved"
TOO_LATE = "its time had passed when the to-do came back"
_LIVE = ("pending", "taken")


@dataclass(frozen=True, slots=True)
class NewReminder:
    """What is asked for: ``at`` (aware), or ``before`` the due date, and moving with it; ``id`` None: it gets one."""

    todo: str
    at: datetime | None = None
    before: timedelta | None = None
    id: str | None = None


class Reminders:
    """The reminders of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewReminder) -> Reminder:
        """Remind a to-do's user.

        Raises:
            UnknownTodo: no such to-do.
            AlreadyExists: the id is taken.
            UsageError: the to-do is done or has no due date to count from, or the time lies in the past.
        """
        if (new.at is None) == (new.before is None):
            raise UsageError("a reminder has a time of its own or one before the due date: give one of them")
        if new.before is not None and new.before < timedelta(0):
            raise UsageError(f"{new.before} before the due date would be after it: give 0 or more")
        async with self._database.write() as connection:
            todo = await find_todo(connection, new.todo, lock=True)
            now = await self._database.clock.now(connection)
            row = _new_row(new, todo, now)
            try:
                await connection.execute(insert(reminders), row)
            except IntegrityError:
                raise AlreadyExists(f"reminder {row['id']!r} exists already; `gda reminder list` shows them") from None
            return await _find(connection, row["id"])

    async def get(self, which: str) -> Reminder:
        """Find a reminder by its id or an unambiguous beginning of it. Raises UnknownTodo."""
        async with self._database.read() as connection:
            return await _find(connection, which)

    async def list(
        self, *, user_id: str | None = None, todo_id: str | None = None, status: str | None = None, limit: int = 50
    ) -> list[Reminder]:
        """Reminders by time, narrowed where asked."""
        query = _SHOWN.order_by(reminders.c.remind_at, reminders.c.id).limit(limit)
        wanted = {reminders.c.user_id: user_id, reminders.c.todo_id: todo_id, reminders.c.status: status}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == value)
        async with self._database.read() as connection:
            return [_shown(row) for row in await connection.execute(query)]

    async def remove(self, which: str) -> Reminder:
        """Remove a reminder; what is being sent just then may still arrive. Raises UnknownTodo."""
        async with self._database.write() as connection:
            found = await _find(connection, which)
            now = await self._database.clock.now(connection)
            await stop_reminders(connection, reminders.c.id == found.id, "the reminder was removed", now)
            await connection.execute(delete(reminders).where(reminders.c.id == found.id))
        return found


async def stop_reminders(connection: AsyncConnection, which: ColumnElement[bool], reason: str, now: datetime) -> None:
    """Cancel reminders that were not sent, and the occurrences that would perform them."""
    stopped = await connection.execute(
        update(reminders)
        .where(which, reminders.c.status.in_(_LIVE))
        .values(status="cancelled", reason=reason)
        .returning(reminders.c.occurrence_id)
    )
    if ids := [row.occurrence_id for row in stopped if row.occurrence_id is not None]:
        await cancel(connection, ids, reason, now)


async def resume_reminders(connection: AsyncConnection, todo_id: str, now: datetime) -> None:
    """Let reminders go on that ended because their to-do was done, where their time is still to come."""
    ended = (reminders.c.todo_id == todo_id, reminders.c.status == "cancelled", reminders.c.reason == DONE)
    values = {"status": "pending", "reason": "", "occurrence_id": None}
    await connection.execute(update(reminders).where(*ended, reminders.c.remind_at > now).values(**values))


async def move_reminders(connection: AsyncConnection, todo: Todo, now: datetime) -> None:
    """Let reminders before the due date follow it, those that were sent too; without a due date they end."""
    along = (reminders.c.todo_id == todo.id, reminders.c.before_seconds.is_not(None))
    await stop_reminders(connection, along[0] & along[1], MOVED, now)
    if todo.due_at is None or todo.completed:
        return
    rows = (await connection.execute(select(reminders.c.id, reminders.c.before_seconds).where(*along))).all()
    if rows:
        await connection.execute(
            _MOVE, [{"b_id": row.id, "b_at": _before(todo.due_at, row.before_seconds)} for row in rows]
        )


async def copy_reminders(
    connection: AsyncConnection, sources: Mapping[str, tuple[str, datetime]], now: datetime
) -> None:
    """Give to-dos that follow others the reminders that these had before their due dates.

    Args:
        connection: a writing transaction.
        sources: by the earlier to-do's id, the next one's id and due date (aware).
        now: the database's instant; a reminder whose time has passed by then is written as skipped.
    """
    if not sources:
        return
    query = select(reminders).where(reminders.c.todo_id.in_(list(sources)), reminders.c.before_seconds.is_not(None))
    rows = [_copy(row, *sources[row.todo_id], now) for row in await connection.execute(query)]
    if rows:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        await connection.execute(dialect.insert(reminders).on_conflict_do_nothing(), rows)


def reminder_from(row: Any) -> Reminder:
    """Make the frozen value of a row."""
    before = None if row.before_seconds is None else timedelta(seconds=row.before_seconds)
    return Reminder(
        id=row.id,
        todo_id=row.todo_id,
        user_id=row.user_id,
        remind_at=row.remind_at,
        before=before,
        status=row.status,
        reason=row.reason,
        late=row.late,
        sent_at=row.sent_at,
        channels=row.channels,
        created_at=row.created_at,
    )


async def _find(connection: AsyncConnection, which: str) -> Reminder:
    exact = (await connection.execute(_SHOWN.where(reminders.c.id == which))).first()
    if exact is not None:
        return _shown(exact)
    query = _SHOWN.where(reminders.c.id.startswith(which, autoescape=True)).limit(2)
    rows: Sequence[Any] = (await connection.execute(query)).all()
    if len(rows) != 1 or not which:
        raise UnknownTodo(
            f"reminder {which!r} {'is ambiguous' if rows and which else 'does not exist'}; "
            "`gda reminder list` shows ids"
        )
    return _shown(rows[0])


_SHOWN = select(
    reminders, occurrences.c.status.label("standing"), occurrences.c.reason.label("standing_reason")
).outerjoin(occurrences, occurrences.c.id == reminders.c.occurrence_id)


def _shown(row: Any) -> Reminder:
    """A row as people see it: of one that was taken, how its occurrence stands, for it may be dead or wait."""
    found = reminder_from(row)
    if found.status != "taken" or row.standing is None:
        return found
    why = f": {row.standing_reason}" if row.standing_reason else ""
    return replace(found, reason=f"occurrence {row.occurrence_id} is {row.standing}{why}")


def _new_row(new: NewReminder, todo: Todo, now: datetime) -> dict[str, Any]:
    if todo.completed:
        raise UsageError(f"to-do {todo.id} is done: reopen it first")
    if new.before is not None and todo.due_at is None:
        raise UsageError(f"to-do {todo.id} has no due date to count from: give it one, or the reminder its own time")
    before = None if new.before is None else round(new.before.total_seconds())
    at = new.at if new.at is not None or todo.due_at is None else _before(todo.due_at, before or 0)
    assert at is not None
    if at <= now:
        raise UsageError(f"{at:%Y-%m-%dT%H:%MZ} lies in the past: choose a time to come")
    identity = str(uuid.uuid4()) if new.id is None else require_id(new.id)
    owner = {"todo_id": todo.id, "user_id": todo.user_id}
    return {"id": identity, **owner, "remind_at": at, "before_seconds": before, "created_at": now}


def _before(due_at: datetime, seconds: int) -> datetime:
    return due_at - timedelta(seconds=seconds)


def _copy(row: Any, todo_id: str, due_at: datetime, now: datetime) -> dict[str, Any]:
    at = _before(due_at, row.before_seconds)
    return {
        "id": str(uuid.uuid5(NAMESPACE, f"{todo_id}/{row.id}")),
        "todo_id": todo_id,
        "user_id": row.user_id,
        "remind_at": at,
        "before_seconds": row.before_seconds,
        "status": "pending" if at > now else "skipped",
        "reason": "" if at > now else TOO_LATE,
        "created_at": now,
    }


_MOVE = (
    update(reminders)
    .where(reminders.c.id == bindparam("b_id"))
    .values(
        remind_at=bindparam("b_at"),
        status="pending",
        reason="",
        late=False,
        occurrence_id=None,
        sent_at=None,
        channels="",
    )
)
