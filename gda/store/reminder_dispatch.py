"""Dispatching reminders: those that are due become occurrences, which are performed like any other.

The transaction that finds a due reminder takes it and inserts its occurrence, whose name is the reminder and its time:
however many scan at once, it is performed once. What a body needs, and what it writes, goes through group commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Claim, Status
from gda.store.conditions import IDS, Among
from gda.store.database import Database
from gda.store.group_commit import GroupCommit
from gda.store.promises import Defaults, Waker, insert_new, occurrence_id
from gda.store.reminders import reminder_from
from gda.store.tables import users
from gda.store.todo_tables import reminders, todos
from gda.todos import Reminder

BATCH = 500
_PENDING = text("gda_reminders.status = 'pending'")


@dataclass(frozen=True, slots=True)
class TakeRules:
    """How a due reminder is taken: for how long it is worth anything, from when it is called late, and as what."""

    kind: str
    queue: str
    defaults: Defaults
    expire_after: timedelta
    late_after: timedelta


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one due reminder: its occurrence, or the reason why there is none."""

    reminder_id: str
    user_id: str
    occurrence_id: str | None
    late: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DueReminder:
    """All that a body needs to know; ``timezone`` is the user's."""

    reminder: Reminder
    title: str
    due_at: datetime | None
    due_day: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A reminder that reached its user, under a claim, through these channels."""

    claim: Claim
    reminder_id: str
    channels: tuple[str, ...]


class ReminderDispatch:
    """The dispatcher of one database."""

    def __init__(self, database: Database, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._database = database
        self._write = writes
        self._read = reads

    async def take(self, rules: TakeRules, waker: Waker, *, limit: int = BATCH) -> list[Taken]:
        """Take one batch of due reminders; call again until nothing is found."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            query = due_reminders(now, limit)
            if connection.dialect.name == "postgresql":
                query = query.with_for_update(of=reminders, skip_locked=True)
            rows = (await connection.execute(query)).all()
            refused = {row.id: reason for row in rows if (reason := _refusal(row, now, rules.expire_after))}
            wanted = {row.id: _occurrence(row, rules, waker, now) for row in rows if row.id not in refused}
            new = await insert_new(connection, list(wanted.values()))
            found = [_taken(row, wanted.get(row.id), refused.get(row.id, ""), new, now, rules) for row in rows]
            if found:
                await connection.execute(_TAKE, [_take_values(one) for one in found])
        return found

    async def read(self, claim: Claim) -> DueReminder | None:
        """The reminder that an occurrence performs; None where it was removed, moved or cancelled meanwhile."""
        return await self._read(_read, claim)

    async def sent(self, sent: Sent) -> None:
        """Write that a reminder reached its user, and through what."""
        await self._write(_write_sent, sent)


def due_reminders(now: datetime, limit: int) -> Select[Any]:
    """Pending reminders whose time has come, with their users' timezone and status, the earliest first."""
    owner = (users.c.timezone, users.c.status.label("user_status"))
    joined = select(reminders.c.id, reminders.c.user_id, reminders.c.remind_at, *owner)
    joined = joined.join(users, users.c.id == reminders.c.user_id)
    return joined.where(_PENDING, reminders.c.remind_at <= now).order_by(reminders.c.remind_at).limit(limit)


def _refusal(row: Any, now: datetime, expire_after: timedelta) -> str:
    if now - row.remind_at > expire_after:
        return f"expired: it could not be sent within {expire_after.total_seconds() / 3600:g} h of its time"
    return "the user is paused" if row.user_status == "paused" else ""


def _occurrence(row: Any, rules: TakeRules, waker: Waker, now: datetime) -> dict[str, Any]:
    key = f"{row.id}/{row.remind_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return {
        "id": occurrence_id(rules.kind, key),
        "kind": rules.kind,
        "dedup_key": key,
        "user_id": row.user_id,
        "timezone": row.timezone,
        "due_at": row.remind_at,
        "ready_at": row.remind_at,
        "expires_at": row.remind_at + rules.expire_after,
        "payload": {"reminder": row.id},
        "status": Status.SCHEDULED,
        "queue": rules.queue,
        "timeout_seconds": rules.defaults.timeout_seconds,
        "max_attempts": rules.defaults.max_attempts,
        "extra": True,
        "woken_by": waker.woken_by,
        "flow_run_id": waker.flow_run_id,
        "created_at": now,
    }


def _taken(
    row: Any, wanted: dict[str, Any] | None, reason: str, new: set[str], now: datetime, rules: TakeRules
) -> Taken:
    late = now - row.remind_at > rules.late_after
    if wanted is not None and wanted["id"] in new:
        return Taken(row.id, row.user_id, wanted["id"], late)
    return Taken(row.id, row.user_id, None, late, reason or "it was taken for this time before")


def _take_values(one: Taken) -> dict[str, Any]:
    status = "taken" if one.occurrence_id else "skipped"
    return {
        "b_id": one.reminder_id,
        "b_status": status,
        "b_reason": one.reason,
        "b_late": one.late,
        "b_occurrence": one.occurrence_id,
    }


_TAKE = (
    update(reminders)
    .where(reminders.c.id == bindparam("b_id"))
    .values(
        status=bindparam("b_status"),
        reason=bindparam("b_reason"),
        late=bindparam("b_late"),
        occurrence_id=bindparam("b_occurrence"),
    )
)
_DUE = (
    select(reminders, todos.c.title, todos.c.due_at, todos.c.due_day, users.c.timezone)
    .join(todos, todos.c.id == reminders.c.todo_id)
    .join(users, users.c.id == reminders.c.user_id)
    .where(Among(reminders.c.id, IDS))
)
_SENT = (
    update(reminders)
    .where(
        reminders.c.id == bindparam("b_id"),
        reminders.c.occurrence_id == bindparam("b_occurrence"),
        reminders.c.status == "taken",
    )
    .values(status="sent", sent_at=bindparam("b_now"), channels=bindparam("b_channels"))
)


def _reminder_id(claim: Claim) -> str:
    return str((claim.occurrence.payload or {}).get("reminder", ""))


async def _read(
    connection: AsyncConnection, claims: Sequence[Claim], now: datetime
) -> list[DueReminder | Exception | None]:
    rows = await connection.execute(_DUE, {"ids": [_reminder_id(claim) for claim in claims]})
    found = {row.occurrence_id: row for row in rows if row.status in ("taken", "sent")}
    return [_due(found.get(claim.occurrence.id)) for claim in claims]


def _due(row: Any) -> DueReminder | None:
    if row is None:
        return None
    return DueReminder(reminder_from(row), row.title, row.due_at, row.due_day, row.timezone)


async def _write_sent(connection: AsyncConnection, several: Sequence[Sent], now: datetime) -> list[Exception | None]:
    values = [
        {
            "b_id": one.reminder_id,
            "b_occurrence": one.claim.occurrence.id,
            "b_now": now,
            "b_channels": ",".join(one.channels),
        }
        for one in several
    ]
    await connection.execute(_SENT, values)
    return [None for _ in several]
