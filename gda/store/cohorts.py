"""Cohorts: all schedules of one kind that share expression and timezone, counted where they are stored."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select

from gda.store.conditions import ENABLED
from gda.store.database import Database
from gda.store.scopes import effective_timezone
from gda.store.tables import schedules, users


@dataclass(frozen=True, slots=True)
class Cohort:
    """Who shares what: ``members`` counts the schedules that run, whoever they belong to.

    ``expression`` is canonical, ``timezone`` an IANA name, the users' own where their schedules have none.
    """

    kind: str
    expression: str
    timezone: str
    members: int


class Cohorts:
    """The cohorts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Cohort]:
        """The cohorts of users that have a member which runs, by kind, largest first.

        Schedules that no longer parse are left out: nothing can be due in them. So are the operator's own.
        """
        number = func.count().label("members")
        query = (
            select(schedules.c.kind, schedules.c.expression, effective_timezone, number)
            .select_from(schedules.join(users, users.c.id == schedules.c.user_id))
            .where(ENABLED, or_(users.c.status.is_(None), users.c.status != "paused"), schedules.c.problem == "")
            .group_by(schedules.c.kind, schedules.c.expression, effective_timezone)
            .order_by(schedules.c.kind, number.desc(), schedules.c.expression, effective_timezone)
        )
        async with self._database.read() as connection:
            return [Cohort(*row) for row in (await connection.execute(query)).all()]
