"""``gda user``: people."""

from typing import TYPE_CHECKING

from cyclopts import App

from gda.cli.output import Flag, Json, Row, show_fields, show_json, show_rows
from gda.cli.run import confirm, say, store
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.store import User

app = App(name="user")


@app.command
async def add(email: str, /, *, timezone: str, name: str = "", id: str | None = None, json: Json = False) -> None:
    """Add a person.

    Args:
        email: Where digests go.
        timezone: IANA name, such as Europe/Berlin.
        name: How to greet them.
        id: A readable id; made from the address when left out.
        json: Print JSON.
    """
    from gda.schedule import zone

    zone(timezone)
    async with store() as opened:
        user = await opened.users.add(email, timezone=timezone, name=name, user_id=id)
    _show_one(user, as_json=json)
    say(f'next: gda schedule set {user.id} digest "weekdays 07:30"')


@app.command(name="list")
async def list_(*, json: Json = False) -> None:
    """List everybody."""
    async with store() as opened:
        people = await opened.users.all()
    if json:
        show_json(people)
    else:
        show_rows([_row(user) for user in people], empty="no users yet; `gda user add EMAIL --timezone TZ` adds one")


@app.command
async def show(user: str, /, *, json: Json = False) -> None:
    """Show one person with schedules and consent.

    Args:
        user: Id or address.
        json: Print JSON.
    """
    async with store() as opened:
        found = await opened.users.get(user)
        schedules = await opened.schedules.all(user_id=found.id)
        credential = await opened.credentials.get(found.id)
    consent = credential.status if credential else "never given"
    if json:
        show_json({"user": found, "google": consent, "schedules": schedules})
        return
    show_fields({**_row(found), "created": found.created_at, "google": consent})
    for schedule in schedules:
        print(f"{schedule.kind} {schedule.name}: {schedule.expression} {schedule.timezone}")


@app.command(name="set")
async def set_(user: str, /, *, timezone: str | None = None, name: str | None = None, json: Json = False) -> None:
    """Change a person's timezone or name; schedules without a timezone of their own follow.

    Args:
        user: Id or address.
        timezone: IANA name.
        name: How to greet them.
        json: Print JSON.
    """
    from gda.schedule import zone

    if timezone is None and name is None:
        raise UsageError("nothing to change: give --timezone or --name")
    if timezone is not None:
        zone(timezone)
    async with store() as opened:
        changed = await opened.users.get(user)
        if name is not None:
            changed = await opened.users.rename(changed.id, name)
        if timezone is not None:
            changed = await opened.schedules.move_user(changed.id, timezone)
    _show_one(changed, as_json=json)
    if timezone is not None:
        say("next: gda apply")


@app.command
async def pause(user: str, /) -> None:
    """Promise this person nothing until resumed.

    Args:
        user: Id or address.
    """
    await _set_status(user, "paused")


@app.command
async def resume(user: str, /) -> None:
    """Go on with a paused person; what was missed meanwhile follows each schedule's catch-up policy.

    Args:
        user: Id or address.
    """
    await _set_status(user, "active")


@app.command
async def remove(user: str, /, *, yes: Flag = False) -> None:
    """Remove a person with schedules and credentials; what happened stays in the ledger.

    Args:
        user: Id or address.
        yes: Do not ask.
    """
    async with store() as opened:
        found = await opened.users.get(user)
        schedules = await opened.schedules.all(user_id=found.id)
        confirm(f"Remove {found.id} ({found.email}) with {len(schedules)} schedules and the credentials?", yes=yes)
        await opened.users.remove(found.id)
    print(f"removed {found.id}")
    say("next: gda apply")


async def _set_status(user: str, status: str) -> None:
    async with store() as opened:
        found = await opened.users.get(user)
        if found.status == "needs-consent":
            raise UsageError(f"{found.id} must grant access to Google again first; until then nothing is delivered")
        changed = await opened.users.set_status(found.id, status)
    print(f"{changed.id} is {changed.status}")
    say("next: gda apply")


def _show_one(user: "User", *, as_json: bool) -> None:
    if as_json:
        show_json(user)
    else:
        show_fields(_row(user))


def _row(user: "User") -> Row:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "timezone": user.timezone,
        "status": user.status,
    }
