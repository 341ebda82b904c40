"""``gda occurrences``: what was due, and what became of it."""

import difflib
from typing import TYPE_CHECKING

from cyclopts import App

from gda.cli.kinds import require_kind
from gda.cli.output import Count, Json, Row, show_fields, show_json, show_rows
from gda.cli.owners import Meant, find_schedule
from gda.cli.run import store
from gda.errors import UsageError
from gda.lifecycle import Status

if TYPE_CHECKING:
    from gda.lifecycle import Occurrence
    from gda.store import Store, Story

app = App(name="occurrences")
SHORT_ID = 8
MOST_SHOWN = 10_000


@app.command(name="list")
async def list_(
    *, user: str | None = None, kind: str | None = None, status: str | None = None, n: Count = 20, json: Json = False
) -> None:
    """List the latest occurrences, newest due first.

    Args:
        user: Only this one's, by id or address.
        kind: Only of this kind.
        status: Only in this status.
        n: How many.
        json: Print JSON.
    """
    wanted = _require_status(status) if status else None
    if not 1 <= n <= MOST_SHOWN:
        raise UsageError(f"-n {n}: show from 1 to {MOST_SHOWN}")
    async with store() as opened:
        user_id = (await opened.users.get(user)).id if user else None
        found = await opened.history.list(
            user_id=user_id, kind=require_kind(kind) if kind else None, status=wanted, limit=n
        )
    if json:
        show_json(found)
    else:
        show_rows([_row(each) for each in found], empty="no occurrences; `gda schedule next USER` shows what comes")


@app.command
async def show(occurrence: str, /, *, json: Json = False) -> None:
    """Show one occurrence with its attempts, its effects and who woke it.

    Args:
        occurrence: Its id; a beginning that fits only one is enough.
        json: Print JSON.
    """
    async with store() as opened:
        story = await opened.history.story(occurrence)
    if json:
        show_json(story)
    else:
        show_story(story)


@app.command
async def why(
    occurrence: str | None = None,
    /,
    *,
    user: str | None = None,
    slot: str | None = None,
    kind: str = "digest",
    name: str = "default",
    json: Json = False,
) -> None:
    """Tell in a sentence what happened to an occurrence, or to a slot, even to one that has no occurrence.

    Args:
        occurrence: Its id; a beginning that fits only one is enough.
        user: Instead of an id, with --slot: whose, by id or address.
        slot: The local time that was promised, such as 2026-03-08T07:30.
        kind: With --user: of which kind.
        name: With --user: of which schedule.
        json: Print JSON.
    """
    if (occurrence is None) == (user is None or slot is None):
        raise UsageError("name an occurrence by its id, or give --user and --slot; `gda occurrences list` shows ids")
    async with store() as opened:
        sentence, found = await (
            _why_occurrence(opened, occurrence)
            if occurrence is not None
            else _why_slot(opened, Meant(user, require_kind(kind)), name, slot or "")
        )
    if json:
        show_json({"why": sentence, "occurrence": found})
    else:
        print(sentence)


async def _why_occurrence(opened: "Store", occurrence: str) -> "tuple[str, Occurrence | None]":
    from gda.why import why_occurrence

    story = await opened.history.story(occurrence)
    return why_occurrence(story, await opened.ledger.now()), story.occurrence


async def _why_slot(opened: "Store", asked: Meant, name: str, slot: str) -> "tuple[str, Occurrence | None]":
    from gda.schedule import parse_slot, slot_name
    from gda.store.promises import dedup_key
    from gda.why import Missing, why_missing

    schedule = await find_schedule(opened, asked, name)
    wanted = slot_name(parse_slot(slot))
    rows = await opened.history.list(kind=asked.kind, key=dedup_key(schedule.user_id, name, wanted))
    if rows:
        return await _why_occurrence(opened, rows[0].id)
    skipped = await opened.history.list(
        user_id=schedule.user_id, kind=asked.kind, status=Status.SKIPPED, limit=MOST_SHOWN
    )
    now, revisions = await opened.ledger.now(), await opened.revisions.of(schedule)
    mine = [row for row in skipped if row.schedule_id == schedule.id]
    return why_missing(Missing(wanted, schedule, revisions, mine, now)), None


@app.command
async def cancel(*occurrences: str, reason: str = "cancelled by hand", json: Json = False) -> None:
    """Cancel occurrences that wait or are held; what is being performed or has ended stays as it is.

    Args:
        occurrences: Their ids; a beginning that fits only one is enough.
        reason: Kept with them.
        json: Print JSON.
    """
    if not occurrences:
        raise UsageError("name the occurrences to cancel; `gda occurrences list --status scheduled` shows what waits")
    async with store() as opened:
        found = [(await opened.history.story(each)).occurrence for each in occurrences]
        cancelled = await opened.ledger.cancel([each.id for each in found], reason)
        left = [each for each in found if each.id not in cancelled]
    if json:
        show_json({"cancelled": cancelled, "left": {each.id: each.status for each in left}})
    for each in found if not json else ():
        print(f"{each.id[:SHORT_ID]}  {'cancelled' if each.id in cancelled else f'left as it is: {each.status}'}")
    if left:
        raise UsageError(f"{len(left)} of {len(found)} were not cancelled: only what waits or is held can be")


def show_story(story: "Story") -> None:
    """Print everything about one occurrence for people."""
    found = story.occurrence
    show_fields(
        {
            "id": found.id,
            "kind": found.kind,
            "user": found.user_id,
            "slot": _slot(found),
            "timezone": found.timezone,
            "due": found.due_at,
            "status": found.status,
            "reason": found.reason,
            "queue": f"{found.queue}, priority {found.priority}",
            "suspect": "a worker died under it; it runs next alone" if found.suspect else None,
            "finished": found.finished_at,
            "woken by": found.woken_by,
            "flow run": story.flow_run_id,
            "dead letter": story.dead_reason,
            "attempts": f"{len(story.attempts)}, {found.burnt} of {found.max_attempts} burnt",
        }
    )
    for attempt in story.attempts:
        ended = attempt.ended_at.strftime("%H:%M:%SZ") if attempt.ended_at else "never"
        detail = ": ".join(part for part in (attempt.error_class, attempt.message) if part)
        print(
            f"attempt {attempt.number}  {attempt.started_at:%Y-%m-%dT%H:%M:%SZ} to {ended}  "
            f"{attempt.outcome or 'unfinished'}{f' ({detail})' if detail else ''}  by {attempt.owner}"
        )
    for effect in story.effects:
        confirmed = f", confirmed {effect.confirmed_at:%Y-%m-%dT%H:%M:%SZ}" if effect.confirmed_at else ""
        print(f"effect {effect.step}  {effect.state}, intended {effect.intent_at:%Y-%m-%dT%H:%M:%SZ}{confirmed}")
        print(f"  {effect.reference}{f' as {effect.provider_reference}' if effect.provider_reference else ''}")


def _row(occurrence: "Occurrence") -> Row:
    return {
        "id": occurrence.id[:SHORT_ID],
        "kind": occurrence.kind,
        "user": occurrence.user_id or "operator",
        "slot": _slot(occurrence),
        "due": occurrence.due_at,
        "status": occurrence.status,
        "reason": occurrence.reason,
    }


def _slot(occurrence: "Occurrence") -> str:
    return occurrence.slot or "extra"


def _require_status(status: str) -> str:
    if status in list(Status):
        return status
    near = difflib.get_close_matches(status.lower(), list(Status), n=1)
    advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(Status)}"
    raise UsageError(f"status {status!r} is unknown: {advice}")
