"""``gda dead-letters``: the inbox of what gave up, and its two exits, replay and discard."""

import difflib
import getpass
import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from gda.cli.drains import ask_for_drain
from gda.cli.kinds import require_kind
from gda.cli.output import Count, Flag, Json, Row, show_json, show_rows
from gda.cli.run import store
from gda.errors import UsageError
from gda.lifecycle import DeadReason

if TYPE_CHECKING:
    from gda.store import Letter, Store, Which

app = App(name="dead-letters")
SHORT_ID = 8
SHORT_TEXT = 60
MOST = 10_000

Ids = Annotated[str, Parameter(help="Ids of occurrences; a beginning that fits only one is enough.")]
User = Annotated[str | None, Parameter(help="Only this one's, by id or address.")]
Kind = Annotated[str | None, Parameter(help="Only of this kind.")]
Reason = Annotated[str | None, Parameter(help="Only those that died for this reason.")]
Fingerprint = Annotated[str | None, Parameter(help="Only those of this cause, as `gda dead-letters groups` shows it.")]


@app.command(name="list")
async def list_(
    *,
    user: User = None,
    kind: Kind = None,
    reason: Reason = None,
    fingerprint: Fingerprint = None,
    closed: Annotated[bool, Parameter(negative="", help="Those closed already, too.")] = False,
    n: Count = 20,
    json: Json = False,
) -> None:
    """List dead letters, newest first."""
    async with store() as opened:
        which = await _which(opened, (), user, kind, reason, fingerprint, closed=closed)
        found = await opened.dead_letters.find(which, limit=n)
    if json:
        show_json(found)
    else:
        show_rows([_row(letter) for letter in found], empty="no dead letters")


@app.command
async def groups(
    *, user: User = None, kind: Kind = None, reason: Reason = None, n: Count = 20, json: Json = False
) -> None:
    """Count open dead letters by cause: kind, reason, error and place."""
    async with store() as opened:
        which = await _which(opened, (), user, kind, reason, None)
        found = (await opened.dead_letters.groups(which))[:n]
    if json:
        show_json(found)
        return
    rows = [
        {
            "cause": group.fingerprint,
            "count": group.count,
            "kind": group.kind,
            "reason": group.reason,
            "last": group.last_at,
            "error": group.last_error[:SHORT_TEXT],
        }
        for group in found
    ]
    show_rows(rows, empty="no dead letters")


@app.command
async def show(occurrence: str, /, *, json: Json = False) -> None:
    """Show one dead letter with its occurrence, all attempts, and earlier replays.

    Args:
        occurrence: Its occurrence's id; a beginning that fits only one is enough.
        json: Print JSON.
    """
    from gda.cli.occurrences import show_story
    from gda.store import Which

    async with store() as opened:
        story = await opened.history.story(occurrence)
        letters = await opened.dead_letters.find(Which(ids=(story.occurrence.id,), closed=True))
    if not letters:
        raise UsageError(f"occurrence {story.occurrence.id} has no dead letter: it is {story.occurrence.status}")
    if json:
        show_json({"letter": letters[0], "story": story})
        return
    show_story(story)
    [letter] = letters
    print(f"cause {letter.fingerprint}  first error: {letter.first_error}")
    for entry in letter.replays:
        print(f"{entry['as']} {entry['at']} by {entry['by']}")


@app.command
async def replay(
    *occurrences: Ids,
    all: Annotated[bool, Parameter(negative="", help="All that the filters leave, or simply all.")] = False,
    user: User = None,
    kind: Kind = None,
    reason: Reason = None,
    fingerprint: Fingerprint = None,
    limit: Annotated[int, Parameter(help="At most so many, the oldest first.")] = 1000,
    per_minute: Annotated[int | None, Parameter(help="At most so many become ready in a minute.")] = None,
    payload: Annotated[str | None, Parameter(help="JSON that replaces the payload of the one named.")] = None,
    dry_run: Flag = False,
    json: Json = False,
) -> None:
    """Give what died a new life; what was replayed or discarded before stays as it is."""
    mended = _payload(payload, occurrences)
    _require_choice(occurrences, all, user, kind, reason, fingerprint)
    _require_positive("--limit", limit)
    _require_positive("--per-minute", per_minute)
    async with store() as opened:
        which = await _which(opened, occurrences, user, kind, reason, fingerprint)
        if mended is not None:
            require_fitting((await opened.ledger.get(which.ids[0])).kind, mended)
        if dry_run:
            found = await opened.dead_letters.find(which, limit=limit, oldest_first=True)
        else:
            found = await opened.dead_letters.replay(
                which, by=f"{getpass.getuser()} on the command line", limit=limit, per_minute=per_minute, payload=mended
            )
    _show_done("would be replayed" if dry_run else "replayed", found, json)
    for wanted in sorted({(letter.kind, letter.queue) for letter in found} if not dry_run else ()):
        await ask_for_drain(*wanted)


@app.command
async def discard(
    *occurrences: Ids,
    all: Annotated[bool, Parameter(negative="", help="All that the filters leave, or simply all.")] = False,
    user: User = None,
    kind: Kind = None,
    reason: Reason = None,
    fingerprint: Fingerprint = None,
    dry_run: Flag = False,
    json: Json = False,
) -> None:
    """Close dead letters without trying again."""
    _require_choice(occurrences, all, user, kind, reason, fingerprint)
    async with store() as opened:
        which = await _which(opened, occurrences, user, kind, reason, fingerprint)
        if dry_run:
            found = await opened.dead_letters.find(which, limit=MOST, oldest_first=True)
        else:
            found = await opened.dead_letters.discard(which, by=f"{getpass.getuser()} on the command line")
    _show_done("would be discarded" if dry_run else "discarded", found, json)


@app.command
async def purge(*, older_than_days: int = 7, json: Json = False) -> None:
    """Delete dead letters that were closed some time ago; open ones are never deleted.

    Args:
        older_than_days: Closed at least so long ago.
        json: Print JSON.
    """
    from datetime import timedelta

    if older_than_days < 0:
        raise UsageError(f"--older-than-days {older_than_days}: give 0 or more")
    async with store() as opened:
        before = await opened.ledger.now() - timedelta(days=older_than_days)
        count = await opened.dead_letters.purge(before)
    if json:
        show_json({"purged": count})
    else:
        print(f"{count} purged")


async def _which(
    opened: "Store",
    occurrences: tuple[str, ...],
    user: str | None,
    kind: str | None,
    reason: str | None,
    fingerprint: str | None,
    *,
    closed: bool = False,
) -> "Which":
    from gda.store import Which

    ids = tuple([(await opened.history.story(each)).occurrence.id for each in occurrences])
    user_id = (await opened.users.get(user)).id if user else None
    return Which(
        ids=ids,
        kind=require_kind(kind) if kind else None,
        user_id=user_id,
        reason=_require_reason(reason) if reason else None,
        fingerprint=fingerprint,
        closed=closed,
    )


def _require_choice(occurrences: tuple[str, ...], every: bool, *filters: str | None) -> None:
    if not occurrences and not every and not any(filters):
        raise UsageError("say which: ids, a filter such as --kind or --fingerprint, or --all")
    if occurrences and (every or any(filters)):
        raise UsageError("give ids, or --all and filters, not both")


def _require_positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UsageError(f"{name} {value}: give 1 or more")


def _require_reason(reason: str) -> str:
    if reason in list(DeadReason):
        return reason
    near = difflib.get_close_matches(reason.lower(), list(DeadReason), n=1)
    advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(DeadReason)}"
    raise UsageError(f"reason {reason!r} is unknown: {advice}")


def _payload(text: str | None, occurrences: tuple[str, ...]) -> dict[str, Any] | None:
    if text is None:
        return None
    if len(occurrences) != 1:
        raise UsageError("--payload mends one dead letter: name exactly one occurrence")
    try:
        found = json_module.loads(text)
    except json_module.JSONDecodeError as error:
        raise UsageError(f"--payload is no JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(found, dict):
        raise UsageError("--payload must be a JSON object, such as '{\"invoice\": 7}'")
    return found


def require_fitting(kind: str, payload: dict[str, Any]) -> None:
    """Refuse a payload that the kind's model would refuse when it runs. Raises UsageError, UnknownKind."""
    from gda.binding import read_payload
    from gda.registry import load_registry

    model = load_registry().get(kind).payload
    if model is None:
        raise UsageError(f"--payload: occurrences of {kind} carry none")
    read_payload(model, payload)


def _show_done(what: str, found: "list[Letter]", json: bool) -> None:
    if json:
        show_json({"done": what, "occurrences": [letter.occurrence_id for letter in found]})
        return
    for letter in found:
        print(f"{letter.occurrence_id[:SHORT_ID]}  {letter.kind} of {letter.user_id or 'operator'}  {what}")
    if not found:
        print("nothing to do: no open dead letter is meant")


def _row(letter: "Letter") -> Row:
    return {
        "id": letter.occurrence_id[:SHORT_ID],
        "kind": letter.kind,
        "user": letter.user_id or "operator",
        "slot": letter.slot or "extra",
        "died": letter.created_at,
        "reason": letter.reason,
        "cause": letter.fingerprint,
        "closed": letter.closed_as,
        "error": letter.last_error[:SHORT_TEXT],
    }
