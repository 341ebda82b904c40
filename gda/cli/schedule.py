"""``gda schedule``: who gets what when."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from gda.cli.durations import duration
from gda.cli.kinds import adopt_earlier_names, require_kind
from gda.cli.output import Count, Flag, Json, Row, show_fields, show_json, show_rows
from gda.cli.owners import OPERATOR, Meant, find_schedule, meant, owner_of, read_expression, read_payload
from gda.cli.run import confirm, say, settings, store
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.schedule import Expression, PreviewRow
    from gda.store import Schedule

app = App(name="schedule")
SHOWN_AFTER_SET = 3
MOST_SHOWN = 1000


@app.command(name="set")
async def set_(
    user: str,
    kind: str,
    expression: str | None = None,
    /,
    *,
    system: Flag = False,
    seconds: Flag = False,
    payload: str | None = None,
    timezone: str | None = None,
    name: str = "default",
    catch_up: Literal["none", "latest", "all"] = "latest",
    catch_up_window: str = "12h",
    overlap: Literal["skip", "queue"] = "queue",
    expire_after: str | None = None,
    spread: str = "0s",
    force: Flag = False,
    json: Json = False,
) -> None:
    """Make or change a schedule; nothing that is owed is lost, nothing past is delivered.

    Args:
        user: Id or address; left out with --system.
        kind: What is wanted: digest.
        expression: When: "daily 07:30", "weekdays 07:30", "weekly mon,thu 07:30", "monthly 1 09:00",
            "every 15 minutes", "once 2026-12-24T18:00", or five-field cron.
        system: The operator's own, for no user: gda schedule set --system KIND "every 30 seconds".
        seconds: Read six cron fields, seconds first; with --system.
        payload: A JSON object that each job carries; with --system.
        timezone: IANA name; the user's own, or UTC, when left out.
        name: Tells several schedules of one kind apart.
        catch_up: What becomes of slots that nobody woke for.
        catch_up_window: How long ago they may have been due, such as 12h or 2d.
        overlap: What becomes of a slot that is due while another of this schedule runs: it waits, or is refused.
        expire_after: After this a slot is worth nothing any more, however it came to be late.
        spread: Perform up to this much later, each user always at the same time; slots and due times stay.
        force: Allow a second schedule at the same times under another name.
        json: Print JSON.
    """
    from gda.schedule import zone
    from gda.store import Wish

    asked = meant(user, kind, expression, system=system)
    if timezone is not None:
        zone(timezone)
    own = read_payload(payload, asked.kind, system=system)
    most = settings().max_runs_per_day
    async with store() as opened:
        await adopt_earlier_names(opened)
        owner = await owner_of(opened, asked)
        place = timezone or (owner.timezone if owner else "UTC")
        parsed = read_expression(asked.rest, timezone=place, most=most, system=system, seconds=seconds)
        wish = Wish(
            owner.id if owner else None,
            asked.kind,
            str(parsed),
            timezone,
            name,
            catch_up,
            catch_up_window=duration(catch_up_window),
            overlap=overlap,
            spread=duration(spread),
            expire_after=duration(expire_after) if expire_after else None,
            settings=own,
        )
        saved = await opened.schedules.set(wish, force=force)
        now = await opened.ledger.now()
    _show_saved(saved, parsed, now, as_json=json)
    say("next: gda apply")


@app.command(name="list")
async def list_(*, user: str | None = None, system: Flag = False, kind: str | None = None, json: Json = False) -> None:
    """List schedules.

    Args:
        user: Only this one's, by id or address.
        system: Only the operator's own.
        kind: Only of this kind.
        json: Print JSON.
    """
    async with store() as opened:
        user_id = (await opened.users.get(user)).id if user else None
        found = await opened.schedules.all(user_id=user_id, kind=require_kind(kind) if kind else None)
    if system:
        found = [each for each in found if each.user_id is None]
    if json:
        show_json(found)
    else:
        show_rows([_row(each) for each in found], empty='no schedules; `gda schedule set USER digest "daily 07:30"`')


@app.command(name="next")
async def next_(user: str, /, *, n: Count = 5, json: Json = False) -> None:
    """Show when this person's schedules are due next, in local time and UTC.

    Args:
        user: Id or address.
        n: How many of each schedule.
        json: Print JSON.
    """
    from gda.schedule import parse_stored, preview

    _require_count(n)
    async with store() as opened:
        owner = await opened.users.get(user)
        schedules = await opened.schedules.all(user_id=owner.id)
        now = await opened.ledger.now()
    for idle in (each for each in schedules if not each.active or each.paused_in_prefect_at):
        say(f"{idle.kind} {idle.name} is paused{' in Prefect; resume it there' if idle.active else ''}")
    rows: list[Row] = [
        {"kind": each.kind, "name": each.name, **asdict(slot)}
        for each in schedules
        if each.active
        for slot in preview(parse_stored(each.expression), each.timezone, now, n)
    ]
    rows.sort(key=lambda row: str(row["utc"]))
    if json:
        show_json(rows)
    else:
        show_rows(rows, empty=f"nothing is due for {owner.id}; `gda schedule list --user {owner.id}` shows schedules")


@app.command
async def pause(user: str, kind: str | None = None, /, *, system: Flag = False, name: str = "default") -> None:
    """Promise nothing more of one schedule until resumed.

    Args:
        user: Id or address; left out with --system.
        kind: Its kind.
        system: The operator's own.
        name: Its name.
    """
    await _enable(meant(user, kind, system=system), name, enabled=False)


@app.command
async def resume(user: str, kind: str | None = None, /, *, system: Flag = False, name: str = "default") -> None:
    """Go on with a paused schedule, from now.

    Args:
        user: Id or address; left out with --system.
        kind: Its kind.
        system: The operator's own.
        name: Its name.
    """
    await _enable(meant(user, kind, system=system), name, enabled=True)


@app.command
async def remove(
    user: str, kind: str | None = None, /, *, system: Flag = False, name: str = "default", yes: Flag = False
) -> None:
    """Remove a schedule; what it promised stays in the ledger.

    Args:
        user: Id or address; left out with --system.
        kind: Its kind.
        system: The operator's own.
        name: Its name.
        yes: Do not ask.
    """
    asked = meant(user, kind, system=system)
    async with store() as opened:
        schedule = await find_schedule(opened, asked, name)
        confirm(f"Remove {asked.name}'s {schedule.kind} schedule {name!r} ({schedule.expression})?", yes=yes)
        await opened.schedules.remove(schedule.user_id, schedule.kind, name)
    print(f"removed {schedule.kind} {name} of {schedule.user_id or OPERATOR}")
    say("next: gda apply")


@app.command(name="preview")
def preview_(expression: str, /, *, timezone: str, after: str | None = None, n: Count = 5, json: Json = False) -> None:
    """Show what an expression means and what clock changes do to it, before anything is saved.

    Args:
        expression: As in `gda schedule set`.
        timezone: IANA name.
        after: An instant with an offset, or a local time, such as 2026-03-07T00:00; now when left out.
        n: How many.
        json: Print a list of {slot, local, utc, note}.
    """
    from gda.schedule import describe, parse, preview

    _require_count(n)
    parsed = parse(expression, timezone=timezone, max_runs_per_day=settings().max_runs_per_day)
    rows = preview(parsed, timezone, _instant(after, timezone), n)
    if json:
        show_json(rows)
        return
    print(describe(parsed, timezone))
    _show_slots(rows)


async def _enable(asked: Meant, name: str, *, enabled: bool) -> None:
    async with store() as opened:
        schedule = await find_schedule(opened, asked, name)
        await opened.schedules.enable(schedule.user_id, schedule.kind, name, enabled=enabled)
    print(f"{schedule.kind} {name} of {schedule.user_id or OPERATOR} is {'active' if enabled else 'paused'}")
    say("next: gda apply")


def _show_saved(saved: "Schedule", parsed: "Expression", now: datetime, *, as_json: bool) -> None:
    from gda.schedule import describe, preview

    coming = preview(parsed, saved.timezone, now, SHOWN_AFTER_SET)
    meaning = describe(parsed, saved.timezone)
    if as_json:
        show_json({"schedule": saved, "meaning": meaning, "next": coming})
        return
    show_fields({**_row(saved), "meaning": meaning})
    _show_slots(coming)


def _show_slots(rows: "Sequence[PreviewRow]") -> None:
    shown: list[Row] = [asdict(row) for row in rows]
    if not any(row["note"] for row in shown):
        shown = [{name: value for name, value in row.items() if name != "note"} for row in shown]
    show_rows(shown, empty="never due again")


def _row(schedule: "Schedule") -> Row:
    paused_with = " (user paused)" if schedule.enabled and not schedule.active else ""
    status = "active" if schedule.active else f"paused{paused_with}"
    if schedule.active and schedule.paused_in_prefect_at:
        status = "paused in Prefect"
    return {
        "user": schedule.user_id or OPERATOR,
        "kind": schedule.kind,
        "name": schedule.name,
        "expression": schedule.expression,
        "timezone": schedule.timezone,
        "status": f"cannot be read: {schedule.problem}" if schedule.problem else status,
        "next": schedule.next_due_at if schedule.active else None,
    }


def _instant(given: str | None, timezone: str) -> datetime:
    from gda.schedule import resolve

    if given is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"--after {given!r} is no date and time; write it as 2026-03-07T00:00") from None
    if moment.tzinfo is not None:
        return moment
    return resolve(moment, timezone).instant


def _require_count(n: int) -> None:
    if not 1 <= n <= MOST_SHOWN:
        raise UsageError(f"-n {n}: show from 1 to {MOST_SHOWN}")
