"""Schedules: what each user asked for, with revisions; an edit never loses what is owed and never fires the past."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import AlreadyExists, UsageError
from gda.schedule import Expression, first_after, parse, parse_stored
from gda.store.database import Database
from gda.store.debts import settle_debts
from gda.store.promises import Defaults, expire_after
from gda.store.records import Schedule, User
from gda.store.scopes import Scope, schedules_with_owner
from gda.store.tables import schedule_revisions, schedules, users
from gda.store.todos import move_days
from gda.store.users import find_user

NAMESPACE = uuid.UUID("0b0c3f52-8f0e-5b69-8d0b-0f4a2f3c9f10")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: ``expression`` in the schedule language, ``timezone`` None for the user's own.

    Without ``user_id`` it is the operator's, whose expressions may hold seconds and have no ceiling of runs a day.
    ``settings`` are the kind's own; its occurrences carry what stands there under ``payload``.
    """

    user_id: str | None
    kind: str
    expression: str
    timezone: str | None = None
    name: str = "default"
    catch_up: str = "latest"
    catch_up_window: timedelta = timedelta(hours=12)
    overlap: str = "queue"
    spread: timedelta = timedelta(0)
    expire_after: timedelta | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def schedule_id(user_id: str | None, kind: str, name: str) -> str:
    """The id that follows from a schedule's name: it survives remove-and-add."""
    return str(uuid.uuid5(NAMESPACE, f"{user_id or '-'}/{kind}/{name}"))


class Schedules:
    """The schedules of one database."""

    def __init__(self, database: Database, defaults: Defaults) -> None:
        self._database = database
        self._defaults = defaults

    async def set(self, wish: Wish, *, force: bool = False) -> Schedule:
        """Make or change a schedule.

        An edit first promises what the old revision owes by now, then starts a new revision from now on.

        Args:
            wish: the expression and timezone are checked here.
            force: allow a second schedule of the same user, kind and expression under another name.

        Raises:
            InvalidSchedule: the expression breaks a rule.
            AlreadyExists: an equal schedule has another name (and ``force`` is off).
            UnknownUser: no such user.
        """
        async with self._database.write() as connection:
            owner = await find_user(connection, wish.user_id) if wish.user_id else None
            wish = replace(wish, user_id=owner.id if owner else None)
            timezone = wish.timezone or (owner.timezone if owner else "UTC")
            expression = parse(
                wish.expression,
                seconds=owner is None,
                timezone=timezone,
                max_runs_per_day=self._defaults.max_runs_per_day,
            )
            if not force:
                await _refuse_twin(connection, wish, str(expression))
            now = await self._database.clock.now(connection)
            old = await _find(connection, wish.user_id, wish.kind, wish.name)
            values = _values(wish, expression, timezone, now)
            if old is None:
                await _insert(connection, wish, values, timezone)
            elif (old.expression, old.timezone) == (str(expression), timezone) and old.enabled:
                unchanged = {key: values[key] for key in values if key not in ("active_from", "next_due_at")}
                await connection.execute(update(schedules).where(schedules.c.id == old.id).values(**unchanged))
            else:
                await self._settle_debts(connection, old, now)
                await _edit(connection, old, values, timezone)
            return await _require(connection, wish.user_id, wish.kind, wish.name)

    async def add_many(self, wishes: Sequence[Wish], zones: Mapping[str, str]) -> int:
        """Add new schedules in bulk; ``zones`` maps user ids to their timezones. Returns how many."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            rows = [_bulk_row(wish, wish.timezone or zones.get(wish.user_id or "", "UTC"), now) for wish in wishes]
            await connection.execute(insert(schedules), rows)
        return len(rows)

    async def all(
        self, *, user_id: str | None = None, kind: str | None = None, operator: bool = False
    ) -> list[Schedule]:
        """Schedules by user, kind and name, narrowed where asked; with ``operator`` only those without a user."""
        query = schedules_with_owner().order_by(schedules.c.user_id, schedules.c.kind, schedules.c.name)
        if operator:
            query = query.where(schedules.c.user_id.is_(None))
        if user_id is not None:
            query = query.where(schedules.c.user_id == user_id)
        if kind is not None:
            query = query.where(schedules.c.kind == kind)
        async with self._database.read() as connection:
            return [_schedule(row) for row in await connection.execute(query)]

    async def move_user(self, who: str, timezone: str) -> User:
        """Change a user's timezone, and with it every schedule that has none of its own, as an edit of each.

        To-dos that are due on a day are then due at that day's end there.

        Args:
            who: id or address.
            timezone: a valid IANA name (the caller checks it with ``gda.schedule.zone``).

        Raises:
            UnknownUser: no such user.
        """
        async with self._database.write() as connection:
            user = await find_user(connection, who)
            if user.timezone == timezone:
                return user
            now = await self._database.clock.now(connection)
            query = schedules_with_owner().where(schedules.c.user_id == user.id, schedules.c.timezone.is_(None))
            inheriting = [_schedule(row) for row in await connection.execute(query)]
            for old in inheriting:
                await self._settle_debts(connection, old, now)
            await connection.execute(update(users).where(users.c.id == user.id).values(timezone=timezone))
            for old in inheriting:
                await _move(connection, old, timezone, now)
            await move_days(connection, user.id, timezone, now)
            return await find_user(connection, user.id)

    async def enable(self, user_id: str | None, kind: str, name: str, *, enabled: bool) -> Schedule:
        """Pause or resume one schedule. Raises UsageError when there is none.

        A pause first promises what is owed by now; a resumed one starts from now.
        """
        async with self._database.write() as connection:
            found = await _require(connection, user_id, kind, name)
            values: dict[str, Any] = {"enabled": enabled}
            now = await self._database.clock.now(connection)
            if found.enabled and not enabled:
                await self._settle_debts(connection, found, now)
            if enabled and not found.enabled:
                first = first_after(parse_stored(found.expression), found.timezone, now)
                values |= {"active_from": now, "next_due_at": first.due_at if first else None}
            await connection.execute(update(schedules).where(schedules.c.id == found.id).values(**values))
            return await _require(connection, user_id, kind, name)

    async def remove(self, user_id: str | None, kind: str, name: str) -> Schedule:
        """Remove one schedule. Raises UsageError when there is none.

        What it promised stays in the ledger, and what it owes by now is promised first.
        """
        async with self._database.write() as connection:
            found = await _require(connection, user_id, kind, name)
            await self._settle_debts(connection, found, await self._database.clock.now(connection))
            await connection.execute(delete(schedules).where(schedules.c.id == found.id))
        return found

    async def _settle_debts(self, connection: AsyncConnection, old: Schedule, now: datetime) -> None:
        await settle_debts(connection, Scope.owned(old.kind, old.user_id), now, self._defaults)


def _values(wish: Wish, expression: Expression, timezone: str, now: datetime) -> dict[str, Any]:
    first = first_after(expression, timezone, now)
    return {
        "expression": str(expression),
        "timezone": wish.timezone,
        "enabled": True,
        "active_from": now,
        "next_due_at": first.due_at if first else None,
        "catch_up": wish.catch_up,
        "catch_up_window_seconds": int(wish.catch_up_window.total_seconds()),
        "overlap": wish.overlap,
        "spread_seconds": int(wish.spread.total_seconds()),
        "expire_after_seconds": None if wish.expire_after is None else int(wish.expire_after.total_seconds()),
        "settings": dict(wish.settings),
        "problem": "",
    }


def _new_row(wish: Wish, values: dict[str, Any]) -> dict[str, Any]:
    identity = schedule_id(wish.user_id, wish.kind, wish.name)
    names = {"id": identity, "user_id": wish.user_id, "kind": wish.kind, "name": wish.name}
    return {**names, **values, "revision": 1}


async def _insert(connection: AsyncConnection, wish: Wish, values: dict[str, Any], timezone: str) -> None:
    row = _new_row(wish, values)
    await connection.execute(insert(schedules), row)
    await _revise(connection, row["id"], 1, values, timezone)


async def _edit(connection: AsyncConnection, old: Schedule, values: dict[str, Any], timezone: str) -> None:
    revision = old.revision + 1
    await connection.execute(update(schedules).where(schedules.c.id == old.id).values(**values, revision=revision))
    await _revise(connection, old.id, revision, values, timezone)


async def _revise(
    connection: AsyncConnection, identity: str, revision: int, values: dict[str, Any], timezone: str
) -> None:
    now = values["active_from"]
    previous = (schedule_revisions.c.schedule_id == identity, schedule_revisions.c.active_until.is_(None))
    await connection.execute(update(schedule_revisions).where(*previous).values(active_until=now))
    row = {"schedule_id": identity, "revision": revision, "expression": values["expression"]}
    await connection.execute(insert(schedule_revisions), {**row, "timezone": timezone, "active_from": now})


async def _move(connection: AsyncConnection, old: Schedule, timezone: str, now: datetime) -> None:
    # One that cannot be read keeps its mark and is never due; it must not keep its owner from moving.
    first = None if old.problem else first_after(parse_stored(old.expression), timezone, now)
    values = {"expression": old.expression, "active_from": now, "next_due_at": first.due_at if first else None}
    await _edit(connection, old, values, timezone)


async def _find(connection: AsyncConnection, user_id: str | None, kind: str, name: str) -> Schedule | None:
    owner = schedules.c.user_id.is_(None) if user_id is None else schedules.c.user_id == user_id
    query = schedules_with_owner().where(owner, schedules.c.kind == kind, schedules.c.name == name)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _schedule(row)


async def _require(connection: AsyncConnection, user_id: str | None, kind: str, name: str) -> Schedule:
    found = await _find(connection, user_id, kind, name)
    if found is None:
        raise UsageError(
            f"{user_id or 'the operator'} has no {kind} schedule named {name!r}; `gda schedule list` shows them"
        )
    return found


async def _refuse_twin(connection: AsyncConnection, wish: Wish, expression: str) -> None:
    query = select(schedules.c.name).where(
        schedules.c.user_id.is_not_distinct_from(wish.user_id),
        schedules.c.kind == wish.kind,
        schedules.c.expression == expression,
        schedules.c.name != wish.name,
    )
    twin = (await connection.execute(query)).scalars().first()
    if twin is not None:
        raise AlreadyExists(
            f"{wish.user_id or 'the operator'} has {wish.kind} at {expression!r} already, named {twin!r}: a second one "
            f"would deliver twice; change that one, or say --force"
        )


def _bulk_row(wish: Wish, timezone: str, now: datetime) -> dict[str, Any]:
    return _new_row(wish, _values(wish, parse(wish.expression, timezone=timezone), timezone, now))


def _schedule(row: Any) -> Schedule:
    return Schedule(
        id=row.id,
        user_id=row.user_id,
        kind=row.kind,
        name=row.name,
        expression=row.expression,
        timezone=row.effective_timezone,
        inherits_timezone=row.timezone is None,
        enabled=row.enabled,
        user_status=row.user_status,
        revision=row.revision,
        active_from=row.active_from,
        next_due_at=row.next_due_at,
        catch_up=row.catch_up,
        catch_up_window=timedelta(seconds=row.catch_up_window_seconds),
        overlap=row.overlap,
        spread=timedelta(seconds=row.spread_seconds),
        expire_after=expire_after(row),
        settings=row.settings,
        problem=row.problem,
        paused_in_prefect_at=row.paused_in_prefect_at,
    )
