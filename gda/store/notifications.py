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


class Notifications:
    """The inboxes of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def put(self, notices: Sequence[tuple[str, str, str, str]]) -> set[tuple[str, str]]:
        """Write (user id, cause, title, body) rows; returns the (user id, cause) of those that were new."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            return await insert_notices(connection, [inbox_row(*notice, now) for notice in notices])


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
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(notifications).on_conflict_do_nothing()
    result = await connection.execute(statement.returning(notifications.c.user_id, notifications.c.cause), list(rows))
    return {(row.user_id, row.cause) for row in result}
