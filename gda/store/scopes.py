"""What a wake-up is for, as a value and as a condition on rows."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, true

from gda.store.conditions import ENABLED
from gda.store.tables import occurrences, schedules, users


@dataclass(frozen=True, slots=True)
class Scope:
    """One kind, narrowed to a user, the operator, a cohort (expression and timezone), a queue or named occurrences."""

    kind: str
    user_id: str | None = None
    expression: str | None = None
    timezone: str | None = None
    queue: str | None = None
    occurrence_ids: tuple[str, ...] = ()
    operator: bool = False
    """Only schedules without a user, and what they promised."""

    @property
    def of_one(self) -> bool:
        """Whether it is for the schedules of one owner: a user or the operator."""
        return self.user_id is not None or self.operator

    @classmethod
    def owned(cls, kind: str, user_id: str | None) -> "Scope":
        """What belongs to the owner of a schedule: its user, or the operator where it has none."""
        return cls(kind, user_id=user_id, operator=user_id is None)

    def __str__(self) -> str:
        if self.operator:
            return f"{self.kind} of the operator"
        if self.user_id is not None:
            return f"{self.kind} of {self.user_id}"
        if self.expression is not None:
            return f"{self.kind} at {self.expression} {self.timezone}"
        return self.kind


effective_timezone = func.coalesce(schedules.c.timezone, users.c.timezone, "UTC")


def schedules_with_owner() -> Select[Any]:
    """Every schedule with its effective timezone and its owner's status."""
    return select(
        schedules,
        effective_timezone.label("effective_timezone"),
        func.coalesce(users.c.status, "active").label("user_status"),
    ).select_from(schedules.outerjoin(users, users.c.id == schedules.c.user_id))


def schedule_condition(scope: Scope) -> ColumnElement[bool]:
    """Which schedules (joined with users) belong to ``scope``."""
    conditions: list[ColumnElement[bool]] = [schedules.c.kind == scope.kind]
    if scope.user_id is not None:
        conditions.append(schedules.c.user_id == scope.user_id)
    if scope.operator:
        conditions.append(schedules.c.user_id.is_(None))
    if scope.expression is not None:
        conditions += [schedules.c.expression == scope.expression, effective_timezone == scope.timezone]
    return and_(*conditions)


@lru_cache(maxsize=256)
def due_schedules(scope: Scope, *, paused: bool | None = False) -> Select[Any]:
    """The schedules of ``scope`` that run and have a slot without a row, due by the parameter ``until``.

    ``paused`` chooses by what people did in Prefect: those that run (False), those that are paused (True), all (None).
    It is made once for a scope: spelling a statement takes SQLAlchemy longer than SQLite takes to answer it.
    """
    query = schedules_with_owner().where(
        schedule_condition(scope),
        ENABLED,
        or_(users.c.status.is_(None), users.c.status != "paused"),
        schedules.c.next_due_at <= bindparam("until", type_=schedules.c.next_due_at.type),
    )
    if paused is None:
        return query
    mark = schedules.c.paused_in_prefect_at
    return query.where(mark.is_not(None) if paused else mark.is_(None))


def occurrence_condition(scope: Scope) -> ColumnElement[bool]:
    """Which occurrences belong to ``scope``."""
    conditions: list[ColumnElement[bool]] = [occurrences.c.kind == scope.kind]
    if scope.user_id is not None:
        conditions.append(occurrences.c.user_id == scope.user_id)
    if scope.operator:
        conditions += [occurrences.c.user_id.is_(None), occurrences.c.schedule_id.is_not(None)]
    if scope.queue is not None:
        conditions.append(occurrences.c.queue == scope.queue)
    if scope.expression is not None:
        members = select(schedules.c.id).select_from(schedules.outerjoin(users, users.c.id == schedules.c.user_id))
        conditions.append(occurrences.c.schedule_id.in_(members.where(schedule_condition(scope))))
    if scope.occurrence_ids:
        conditions.append(occurrences.c.id.in_(scope.occurrence_ids))
    return and_(true(), *conditions)
