"""The in-app inbox: what users are told, one row for each cause."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.store.database import Database
from gda.store.group_commit import GroupCommit
from gda.store.todo_tables import notifications

UNREAD = text("gda_notifications.read_at IS NULL")
NAMESPACE = uuid.UUID("c7f4f1d4-0c55-5b0e-9d7a-6e1a3b1f8a22")


@dataclass(frozen=True, slots=True)
class Notification:
    """One row of a user's inbox; ``read_at`` is None while it is unread."""

    id: str
    user_id: str
    cause: str
    title: str
    body: str
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewNotification:
    """What a user shall be told: ``cause`` names what for, once; title and body are for people."""

    user_id: str
    cause: str
    title: str
    body: str


class Notifications:
    """The inboxes of one database."""

    def __init__(self, database: Database, *, writes: GroupCommit) -> None:
        self._database = database
        self._write = writes

    async def list(self, user_id: str, *, unread: bool = False, limit: int = 50) -> list[Notification]:
        """What a user was told, the newest first; only what is unread where asked."""
        query = select(notifications).where(notifications.c.user_id == user_id)
        query = query.order_by(notifications.c.created_at.desc(), notifications.c.id).limit(limit)
        async with self._database.read() as connection:
            rows = await connection.execute(query.where(UNREAD) if unread else query)
            return [Notification(**row._mapping) for row in rows]

    async def read(self, user_id: str, ids: Collection[str]) -> int:
        """Mark notifications of a user as read; returns how many were unread."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            mine = (notifications.c.user_id == user_id, notifications.c.id.in_(list(ids)), UNREAD)
            return (await connection.execute(update(notifications).where(*mine).values(read_at=now))).rowcount

    async def put(self, notice: NewNotification) -> None:
        """Write into a user's inbox, together with whoever else does just then; nothing where its cause was told."""
        await self._write(_put, notice)


async def _put(
    connection: AsyncConnection, several: Sequence[NewNotification], now: datetime
) -> list[Exception | None]:
    rows = [inbox_row(one.user_id, one.cause, one.title, one.body, now) for one in several]
    await connection.execute(_insert(connection), rows)
    return [None for _ in several]


def _insert(connection: AsyncConnection) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(notifications).on_conflict_do_nothing()


def inbox_row(user_id: str, cause: str, title: str, body: str, now: datetime) -> dict[str, Any]:
    """The values of one new row; its id follows from user and cause."""
    return {
        "id": str(uuid.uuid5(NAMESPACE, f"{user_id}/{cause}")),
        "user_id": user_id,
        "cause": cause,
        "title": title,
        "body": body,
        "created_at": now,
    }


async def insert_notices(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """Insert the rows whose cause is new to its user; returns which were, as (user id, cause)."""
    if not rows:
        return set()
    statement = _insert(connection).returning(notifications.c.user_id, notifications.c.cause)
    result = await connection.execute(statement, list(rows))
    return {(row.user_id, row.cause) for row in result}
