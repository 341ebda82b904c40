"""``gda todo``: what people have to do."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from gda.cli.output import Count, Flag, Json, Row, show_fields, show_json, show_rows
from gda.cli.run import confirm, say, store
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.store import Store
    from gda.todos import Due, Repeat, Todo

app = App(name="todo")
SHORT_ID = 8
LONG_ID = 36
MOST_SHOWN = 10_000

Priority = Literal["low", "normal", "high"]
Missed = Literal["next", "every"]
Tags = Annotated[tuple[str, ...], Parameter(name="--tag", negative="")]


@app.command
async def add(
    user: str,
    title: str,
    /,
    *,
    description: str = "",
    priority: Priority = "normal",
    tag: Tags = (),
    due: str | None = None,
    repeat: str | None = None,
    interval: int | None = None,
    count: int | None = None,
    until: str | None = None,
    missed: Missed = "next",
    id: str | None = None,
    json: Json = False,
) -> None:
    """Write a to-do down.

    Args:
        user: Whose, by id or address.
        title: What is to be done, on one line.
        description: More about it.
        priority: How much it matters.
        tag: A word to find it by; may be said several times.
        due: A day (2026-03-08: its end where the user lives), a local time (2026-03-08T09:00), or an instant.
        repeat: daily, weekly, monthly, yearly, or an RFC 5545 rule such as "FREQ=MONTHLY;BYDAY=-1FR".
        interval: Each so many days, weeks, months or years.
        count: End after so many dates.
        until: End with this day.
        missed: When it is done late: go on with the next date to come, or with every one that was missed.
        id: A readable id.
        json: Print JSON.
    """
    from gda.todos import NewTodo, read_due

    async with store() as opened:
        owner = await opened.users.get(user)
        when = read_due(due, owner.timezone) if due is not None else None
        series = _read_repeat(repeat, when, owner.timezone, interval, count, until, missed)
        new = NewTodo(owner.id, title, description, priority, tag, when, series, id)
        made = await opened.todos.add(new)
        await _show_one(opened, made, as_json=json)
    say(f"next: gda todo done {made.id}")


@app.command(name="list")
async def list_(
    *,
    user: str | None = None,
    status: Literal["open", "overdue", "done"] | None = None,
    tag: str | None = None,
    n: Count = 50,
    json: Json = False,
) -> None:
    """List to-dos: overdue ones first, then by due date, done ones last.

    Args:
        user: Only this one's, by id or address.
        status: Only in this status.
        tag: Only with this tag.
        n: How many.
        json: Print JSON.
    """
    if not 1 <= n <= MOST_SHOWN:
        raise UsageError(f"-n {n}: show from 1 to {MOST_SHOWN}")
    async with store() as opened:
        user_id = (await opened.users.get(user)).id if user else None
        found = await opened.todos.list(user_id=user_id, status=status, tag=tag, limit=n)
    if json:
        show_json(found)
    else:
        show_rows([_row(each) for each in found], empty="no to-dos; `gda todo add USER TITLE --due DAY` adds one")


@app.command
async def show(todo: str, /, *, json: Json = False) -> None:
    """Show one to-do.

    Args:
        todo: Its id; a beginning that fits only one is enough.
        json: Print JSON.
    """
    async with store() as opened:
        await _show_one(opened, await opened.todos.get(todo), as_json=json)


@app.command(name="set")
async def set_(
    todo: str,
    /,
    *,
    title: str | None = None,
    description: str | None = None,
    priority: Priority | None = None,
    tag: Tags | None = None,
    due: str | None = None,
    repeat: str | None = None,
    interval: int | None = None,
    count: int | None = None,
    until: str | None = None,
    missed: Missed = "next",
    json: Json = False,
) -> None:
    """Change a to-do; a new due date moves this one only, --repeat begins a series with it.

    Args:
        todo: Its id; a beginning that fits only one is enough.
        title: What is to be done.
        description: More about it.
        priority: How much it matters.
        tag: The tags it shall have instead.
        due: As in `gda todo add`; "none" takes it away.
        repeat: As in `gda todo add`; "none" ends the series.
        interval: With --repeat.
        count: With --repeat.
        until: With --repeat.
        missed: With --repeat.
        json: Print JSON.
    """
    from gda.store import Change
    from gda.todos import read_due

    without = frozenset(name for name, value in (("due", due), ("repeat", repeat)) if value == "none")
    async with store() as opened:
        old = await opened.todos.get(todo)
        place = (await opened.users.get(old.user_id)).timezone
        when = read_due(due, place) if due is not None and "due" not in without else None
        rule = None if "repeat" in without else repeat
        series = _read_repeat(rule, when or old.due, place, interval, count, until, missed)
        change = Change(title, description, priority, tag, when, series, without)
        if change == Change():
            raise UsageError("nothing to change: give --title, --due or another option; `gda todo set --help`")
        await _show_one(opened, await opened.todos.change(old.id, change), as_json=json)


@app.command
async def done(*todos: str, json: Json = False) -> None:
    """Tick to-dos off; what repeats comes back with its next due date within minutes.

    Args:
        todos: Their ids; a beginning that fits only one is enough.
        json: Print JSON.
    """
    if not todos:
        raise UsageError("name the to-dos that are done; `gda todo list` shows ids")
    async with store() as opened:
        named = [await opened.todos.get(each) for each in todos]
        completed = [await opened.todos.complete(each.id) for each in named]
    if json:
        show_json(completed)
    for each in completed if not json else ():
        print(f"{short_id(each.id)} is done")


@app.command
async def reopen(todo: str, /) -> None:
    """Take back that a to-do is done; what followed from it stays.

    Args:
        todo: Its id; a beginning that fits only one is enough.
    """
    async with store() as opened:
        found = await opened.todos.reopen(todo)
    print(f"{short_id(found.id)} is {found.status}")


@app.command
async def remove(todo: str, /, *, yes: Flag = False) -> None:
    """Remove a to-do with its reminders; one that repeats does not come back.

    Args:
        todo: Its id; a beginning that fits only one is enough.
        yes: Do not ask.
    """
    async with store() as opened:
        found = await opened.todos.get(todo)
        confirm(f"Remove to-do {short_id(found.id)} of {found.user_id}?", yes=yes)
        await opened.todos.remove(found.id)
    print(f"removed {short_id(found.id)}")


def _read_repeat(
    rule: str | None,
    due: "Due | None",
    timezone: str,
    interval: int | None,
    count: int | None,
    until: str | None,
    missed: Missed,
) -> "Repeat | None":
    from gda.todos import nominal_of, read_repeat

    if rule is None:
        if (interval, count, until) != (None, None, None):
            raise UsageError("--interval, --count and --until belong to a recurrence: say --repeat as well")
        return None
    if due is None:
        raise UsageError("a to-do that repeats needs a due date: say --due, when the first one is due")
    start = nominal_of(due, timezone)
    return read_repeat(rule, start, timezone, interval=interval, count=count, until=until, missed=missed)


async def _show_one(opened: "Store", todo: "Todo", *, as_json: bool) -> None:
    from gda.todos import nominal_of

    if as_json:
        show_json(todo)
        return
    place = (await opened.users.get(todo.user_id)).timezone
    local = f"{nominal_of(todo.due, place)} {place}" if todo.due else None
    show_fields(
        {
            "id": todo.id,
            "user": todo.user_id,
            "title": todo.title,
            "description": todo.description,
            "status": todo.status,
            "priority": todo.priority,
            "tags": ", ".join(todo.tags),
            "due": local,
            "repeat": _repeats(todo),
            "completed": todo.completed_at,
            "overdue": todo.overdue_at,
            "processed": todo.last_processed_at,
            "problem": todo.problem,
        }
    )


def _repeats(todo: "Todo") -> str:
    repeat = todo.repeat
    if repeat is None:
        return ""
    each = f", each {repeat.interval}" if repeat.interval > 1 else ""
    end = f", {repeat.count} times" if repeat.count else f", until {repeat.until}" if repeat.until else ""
    return f"{repeat.rule}{each}{end}"


def _row(todo: "Todo") -> Row:
    return {
        "id": short_id(todo.id),
        "user": todo.user_id,
        "title": todo.title,
        "due": todo.due_day or todo.due_at,
        "status": todo.status,
        "priority": todo.priority,
        "tags": ", ".join(todo.tags),
        "repeat": _repeats(todo),
    }


def short_id(identity: str) -> str:
    """The first letters of an id that was made; one that a person chose as it is."""
    return identity[:SHORT_ID] if len(identity) == LONG_ID else identity
