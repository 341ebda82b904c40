"""``gda enqueue``: ask for work without a schedule."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gda.cli.drains import ask_for_drain
from gda.cli.durations import duration
from gda.cli.output import Flag, Json, show_json
from gda.cli.owners import json_object
from gda.cli.run import say, settings, store
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.enqueue import Enqueued


async def enqueue(
    kind: str,
    /,
    *,
    payload: str = "{}",
    at: str | None = None,
    in_: Annotated[str | None, Parameter(name="--in")] = None,
    unique_key: str | None = None,
    on_conflict: str = "reject",
    queue: str | None = None,
    priority: int = 0,
    timeout: str | None = None,
    max_attempts: int | None = None,
    metadata: Annotated[Sequence[str], Parameter(negative="")] = (),
    user: str | None = None,
    dry_run: Flag = False,
    json: Json = False,
) -> None:
    """Enqueue one job, and ask Prefect for a drain run that performs it.

    Args:
        kind: What.
        payload: A JSON object.
        at: Not before this instant, with its offset, such as 2026-12-24T18:00+01:00.
        in_: Not before this long from now, such as 30s, 10m, 2h or 1d.
        unique_key: At most one unsettled job of this kind and user has it.
        on_conflict: Where the key is taken: reject, keep or replace.
        queue: critical, default or bulk; the kind's own when not given.
        priority: Higher goes first.
        timeout: Of one attempt, such as 30s.
        max_attempts: How often it is tried.
        metadata: KEY=VALUE, once for each.
        user: Whose, by id or address.
        dry_run: Only say what would become of it; nothing is written.
        json: Print JSON.
    """
    from gda.enqueue import NewJob, Unique
    from gda.enqueue import enqueue as add
    from gda.registry import load_registry

    given = settings()
    unique = Unique(unique_key, _policy(on_conflict)) if unique_key else None
    job = NewJob(
        kind=kind,
        payload=json_object(payload),
        at=_instant(at) if at else None,
        delay=duration(in_) if in_ else None,
        queue=queue,
        priority=priority,
        unique=unique,
        timeout=duration(timeout) if timeout else None,
        max_attempts=max_attempts,
        metadata=dict(map(_pair, metadata)),
    )
    async with store(given) as opened:
        owner = (await opened.users.get(user)).id if user else None
        job = replace(job, user_id=owner)
        result = await add(opened.queue, load_registry(), given, job, dry_run=dry_run)
        if dry_run:
            _show_dry(result, as_json=json)
            return
        found = await opened.ledger.get(result.occurrence_id)
        wait = found.ready_at - await opened.ledger.now()
    if json:
        show_json(result)
    else:
        print(result.occurrence_id)
    if wait > timedelta(seconds=given.early_seconds):
        say(f"it is due at {found.ready_at:%Y-%m-%dT%H:%M:%SZ}; the sweep asks for a drain run then")
    else:
        await ask_for_drain(found.kind, found.queue)


def _show_dry(result: "Enqueued", *, as_json: bool) -> None:
    # The id of what would be new is of no use to anybody: the real one will be another.
    held_by = None if result.what == "new" else result.occurrence_id
    if as_json:
        show_json({"what": result.what, "occurrence_id": held_by, "dry_run": True})
    else:
        print(f"{result.what}: {held_by}" if held_by else result.what)
    say("nothing was written")


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text!r} is no instant: write such as 2026-12-24T18:00+01:00") from None


def _policy(text: str) -> Any:
    from gda.store.queue import OnConflict

    if text not in list(OnConflict):
        raise UsageError(f"--on-conflict {text!r} is no policy: choose one of {', '.join(OnConflict)}")
    return OnConflict(text)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--metadata {text!r} is no pair: write KEY=VALUE")
    return key, value
