"""Revisions: what a schedule was, from when to when."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gda.store.database import Database
from gda.store.records import Schedule
from gda.store.tables import schedule_revisions


@dataclass(frozen=True, slots=True)
class Revision:
    """What was promised from ``active_from`` until ``active_until`` (aware UTC; None: it still is)."""

    expression: str
    timezone: str
    active_from: datetime
    active_until: datetime | None


class Revisions:
    """The revisions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, schedule: Schedule) -> list[Revision]:
        """A schedule's revisions, oldest first; one that was added in bulk and never changed has itself alone."""
        own = schedule_revisions.c
        query = (
            select(own.expression, own.timezone, own.active_from, own.active_until)
            .where(own.schedule_id == schedule.id)
            .order_by(own.revision)
        )
        async with self._database.read() as connection:
            found = [Revision(*row) for row in (await connection.execute(query)).all()]
        return found or [Revision(schedule.expression, schedule.timezone, schedule.active_from, None)]
