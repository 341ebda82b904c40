"""``gda reminder``: be told of a to-do in time."""

from typing import TYPE_CHECKING, Literal

from cyclopts import App

from gda.cli.durations import duration
from gda.cli.output import Count, Flag, Json, Row, show_fields, show_json, show_rows
from gda.cli.run import confirm, store
from gda.cli.todo import MOST_SHOWN, short_id
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.todos import Reminder

app = App(name="reminder")

ReminderStatus = Literal["pending", "taken", "sent", "skipped", "cancelled"]


@app.command
async def add(
    todo: str, /, *, at: str | None = None, before: str | None = None, id: str | None = None, json: Json = False
) -> None:
    """Remind a to-do's user of it, through the inbox and by mail.

    Args:
        todo: The to-do's id; a beginning that fits only one is enough.
        at: A local time of the user (2026-03-08T09:00), or an instant with an offset.
        before: So long before the due date, such as 30m, 2h or 1d; it moves with the due date.
        id: A readable id.
        json: Print JSON.
    """
    from gda.store import NewReminder
    from gda.todos import read_due

    earlier = duration(before) if before is not None else None
    async with store() as opened:
        found = await opened.todos.get(todo)
        place = (await opened.users.get(found.user_id)).timezone
        when = read_due(at, place) if at is not None else None
        if when is not None and when.day is not None:
            raise UsageError(f"--at {at} names no time of the day: write it as {at}T09:00")
        new = NewReminder(found.id, when.at if when else None, earlier, id)
        _show_one(await opened.reminders.add(new), as_json=json)


@app.command(name="list")
async def list_(
    *,
    user: str | None = None,
    todo: str | None = None,
    status: ReminderStatus | None = None,
    n: Count = 50,
    json: Json = False,
) -> None:
    """List reminders by time.

    Args:
        user: Only this one's, by id or address.
        todo: Only of this to-do.
        status: Only in this status.
        n: How many.
        json: Print JSON.
    """
    if not 1 <= n <= MOST_SHOWN:
        raise UsageError(f"-n {n}: show from 1 to {MOST_SHOWN}")
    async with store() as opened:
        user_id = (await opened.users.get(user)).id if user else None
        todo_id = (await opened.todos.get(todo)).id if todo else None
        found = await opened.reminders.list(user_id=user_id, todo_id=todo_id, status=status, limit=n)
    if json:
        show_json(found)
    else:
        show_rows([_row(each) for each in found], empty="no reminders; `gda reminder add TODO --before 1h` adds one")


@app.command
async def show(reminder: str, /, *, json: Json = False) -> None:
    """Show one reminder.

    Args:
        reminder: Its id; a beginning that fits only one is enough.
        json: Print JSON.
    """
    async with store() as opened:
        _show_one(await opened.reminders.get(reminder), as_json=json)


@app.command
async def remove(reminder: str, /, *, yes: Flag = False) -> None:
    """Remove a reminder; what is being sent just then may still arrive.

    Args:
        reminder: Its id; a beginning that fits only one is enough.
        yes: Do not ask.
    """
    async with store() as opened:
        found = await opened.reminders.get(reminder)
        confirm(f"Remove reminder {short_id(found.id)} of to-do {short_id(found.todo_id)}?", yes=yes)
        await opened.reminders.remove(found.id)
    print(f"removed {short_id(found.id)}")


def _show_one(reminder: "Reminder", *, as_json: bool) -> None:
    if as_json:
        show_json(reminder)
        return
    show_fields(
        {
            **_row(reminder),
            "id": reminder.id,
            "to-do": reminder.todo_id,
            "before": reminder.before,
            "late": "yes" if reminder.late else "",
            "sent": reminder.sent_at,
            "channels": reminder.channels,
        }
    )


def _row(reminder: "Reminder") -> Row:
    return {
        "id": short_id(reminder.id),
        "to-do": short_id(reminder.todo_id),
        "user": reminder.user_id,
        "at": reminder.remind_at,
        "status": reminder.status,
        "reason": reminder.reason,
    }
