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
from gda.store.conditions import IDS, Among, alike
from gda.store.database import Database
from gda.store.group_commit import GroupCommit
from gda.store.notice_errands import Asked, NoticeErrand, read_errands
from gda.store.promises import Defaults, Waker, insert_new, occurrence_id
from gda.store.tables import occurrences, users
from gda.store.todo_tables import reminders, todos

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
    """All that a body needs to know, read at once: of the reminder, of its to-do, and how its user is told."""

    errand: NoticeErrand
    id: str
    remind_at: datetime
    late: bool
    sent: bool
    title: str
    due_at: datetime | None
    due_day: str | None


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
            await _write_taken(connection, found)
        return found

    async def any_due(self) -> bool:
        """Whether some reminder is due and nobody has taken it."""
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            return (await connection.execute(due_reminders(now, 1))).first() is not None

    async def read(self, asked: Asked) -> DueReminder | None:
        """The reminder that an occurrence performs; None where it was removed, moved or cancelled meanwhile.

        Raises:
            GdaError: the user is gone.
        """
        return await self._read(_read, asked)

    async def sent(self, sent: Sent) -> None:
        """Write that a reminder reached its user, and through what."""
        await self._write(_write_sent, sent)


def due_reminders(now: datetime, limit: int) -> Select[Any]:
    """Pending reminders whose time has come, with their users' timezone and status, the earliest first."""
    owner = (users.c.timezone, users.c.status.label("user_status"))
    joined = select(reminders.c.id, reminders.c.user_id, reminders.c.remind_at, *owner)
    # Each has its user. Were it no outer join, SQLite would begin with all users where no reminder is pending.
    joined = joined.join(users, users.c.id == reminders.c.user_id, isouter=True)
    return joined.where(_PENDING, reminders.c.remind_at <= now).order_by(reminders.c.remind_at).limit(limit)


def _refusal(row: Any, now: datetime, expire_after: timedelta) -> str:
    if now - row.remind_at > expire_after:
        return f"expired: it could not be sent within {expire_after.total_seconds() / 3600:g} h of its time"
    return "the user is paused" if row.user_status == "paused" else ""


def _occurrence(row: Any, rules: TakeRules, waker: Waker, now: datetime) -> dict[str, Any]:
    key = f"{row.id}/{row.remind_at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
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


async def _write_taken(connection: AsyncConnection, found: Sequence[Taken]) -> None:
    if taken := alike((one.occurrence_id, {"b_late": one.late}) for one in found if one.occurrence_id):
        await connection.execute(_TAKE, taken)
    refused = [one for one in found if not one.occurrence_id]
    if refused:
        values = alike((one.reminder_id, {"b_late": one.late, "b_reason": one.reason}) for one in refused)
        await connection.execute(_REFUSE, values)


_TAKE = (
    update(reminders)
    .where(Among(occurrences.c.id, IDS), reminders.c.id == occurrences.c.payload["reminder"].as_string())
    .values(status="taken", reason="", late=bindparam("b_late"), occurrence_id=occurrences.c.id)
)
_REFUSE = (
    update(reminders)
    .where(Among(reminders.c.id, IDS))
    .values(status="skipped", late=bindparam("b_late"), reason=bindparam("b_reason"))
)
_READ = (reminders.c.id, reminders.c.remind_at, reminders.c.late, (reminders.c.status == "sent").label("sent"))
_DUE = (
    select(reminders.c.occurrence_id, *_READ, todos.c.title, todos.c.due_at, todos.c.due_day)
    .join(todos, todos.c.id == reminders.c.todo_id)
    .where(reminders.c.status.in_(("taken", "sent")), Among(reminders.c.id, IDS))
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
    connection: AsyncConnection, several: Sequence[Asked], now: datetime
) -> list[DueReminder | Exception | None]:
    rows = await connection.execute(_DUE, {"ids": [_reminder_id(one.claim) for one in several]})
    found = {row[0]: row[1:] for row in rows}
    errands = await read_errands(connection, several, now)
    return [_due(found.get(one.claim.occurrence.id), errand) for one, errand in zip(several, errands, strict=True)]


def _due(row: Sequence[Any] | None, errand: NoticeErrand | Exception) -> DueReminder | Exception | None:
    if row is None:
        return None
    return errand if isinstance(errand, Exception) else DueReminder(errand, *row)


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
