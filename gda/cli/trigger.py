"""``gda trigger``: ask for one user's occurrence by hand."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gda.cli.kinds import adopt_earlier_names, require_kind
from gda.cli.output import Flag, Json, show_fields, show_json
from gda.cli.run import FAILED, say, store
from gda.cli.runs import create_run, prefect_client, until_final
from gda.errors import InvalidSchedule, UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from gda.lifecycle import Occurrence
    from gda.store import Schedule, Store, Story, User

RECENT = 50
"""Occurrences looked through for the ones that a flow run attempted."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What a request means: a slot (None: an extra beside the schedule), and what the ledger says of it so far."""

    schedule: str
    slot: str | None
    due_at: datetime | None
    status: str
    occurrence: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Request:
    user_id: str
    kind: str
    meant: list[Meant]
    run: "FlowRun"


async def trigger(
    kind: str,
    /,
    *,
    user: str,
    at: str | None = None,
    extra: Flag = False,
    wait: Flag = False,
    dry_run: Flag = False,
    json: Json = False,
) -> int:
    """Ask for the latest slot due by now; one that is settled already is not delivered again, but says what settled it.

    Args:
        kind: What: digest.
        user: Whose, by id or address.
        at: Ask for this slot instead, a local time such as 2026-03-08T07:30.
        extra: Ask for one beside the schedule, now.
        wait: Wait for the flow run to end and say what became of it.
        dry_run: Say what it would mean, and create nothing.
        json: Print JSON.
    """
    kind = require_kind(kind)
    if at and extra:
        raise UsageError("--at names a slot and --extra asks for one beside the schedule: give one of them")
    async with store() as opened:
        if not dry_run:
            await adopt_earlier_names(opened)
        owner = await opened.users.get(user)
        meant = await _meaning(opened, owner, kind, at=at, extra=extra)
        if dry_run:
            _show_meaning(meant, as_json=json)
            return 0
        async with prefect_client() as client:
            from gda.glue.runs import close_abandoned_runs

            await close_abandoned_runs(opened)
            run = await create_run(client, kind, owner.id, at=at, extra=extra)
            say(f"flow run {run.id} created")
            if wait:
                return await _wait(opened, client, _Request(owner.id, kind, meant, run), as_json=json)
    if json:
        show_json({"flow_run": str(run.id), "meant": meant})
    else:
        print(run.id)
        say(f"next: gda occurrences list --user {owner.id}")
    return 0


async def _meaning(opened: "Store", owner: "User", kind: str, *, at: str | None, extra: bool) -> list[Meant]:
    schedules = await opened.schedules.all(user_id=owner.id, kind=kind)
    if not schedules:
        raise UsageError(
            f'{owner.id} has no {kind} schedule: `gda schedule set {owner.id} {kind} "daily 07:30"` makes one'
        )
    if extra:
        return [Meant(schedule.name, None, None, "new") for schedule in schedules]
    now = await opened.ledger.now()
    meant = [await _slot_of(opened, schedule, at, now) for schedule in schedules]
    found = [each for each in meant if each is not None]
    if not found and at:
        raise InvalidSchedule(
            f"{at} is no slot of {owner.id}'s {kind} schedules that is due by now; "
            f"`gda schedule next {owner.id}` shows what comes, `--extra` delivers beside the schedule"
        )
    if not found:
        raise UsageError(f"no slot of {owner.id}'s {kind} is due yet; `--extra` delivers now, beside the schedule")
    return found


async def _slot_of(opened: "Store", schedule: "Schedule", at: str | None, now: datetime) -> Meant | None:
    from gda.schedule import latest_slot, parse_slot, parse_stored, slot_at, slot_name
    from gda.store.promises import dedup_key

    expression = parse_stored(schedule.expression)
    if at:
        due = slot_at(expression, schedule.timezone, slot_name(parse_slot(at)))
        due = due if due is not None and due.due_at <= now else None
    else:
        due = latest_slot(expression, schedule.timezone, now)
    if due is None:
        return None
    key = dedup_key(schedule.user_id, schedule.name, due.slot)
    rows = await opened.history.list(kind=schedule.kind, key=key)
    if not rows:
        return Meant(schedule.name, due.slot, due.due_at, "new")
    return Meant(schedule.name, due.slot, due.due_at, rows[0].status, rows[0].id, rows[0].reason)


def _show_meaning(meant: list[Meant], *, as_json: bool) -> None:
    if as_json:
        show_json(meant)
        return
    for each in meant:
        show_fields(
            {
                "schedule": each.schedule,
                "slot": each.slot or "extra, beside the schedule",
                "due": each.due_at,
                "status": each.status,
                "reason": each.reason,
                "occurrence": each.occurrence,
            }
        )


async def _wait(opened: "Store", client: "PrefectClient", request: _Request, *, as_json: bool) -> int:
    run = await until_final(client, request.run.id)
    state = run.state
    assert state is not None
    settled = await _settled_by(opened, request)
    if as_json:
        shown = {"flow_run": str(run.id), "name": run.name, "state": state.name, "message": state.message}
        show_json({**shown, "occurrences": settled})
    else:
        print(f"{run.name}: {state.name}{f': {state.message}' if state.message else ''}")
        for each in settled:
            shown_as = f"{each.slot or 'extra'}: {each.status}{f' ({each.reason})' if each.reason else ''}"
            print(f"occurrence {each.id} {shown_as}")
    return 0 if state.is_completed() else FAILED


async def _settled_by(opened: "Store", request: _Request) -> "list[Occurrence]":
    """The occurrences that the flow run attempted; where it had none to attempt, those it was asked for."""
    recent = await opened.history.list(user_id=request.user_id, kind=request.kind, limit=RECENT)
    stories = [await opened.history.story(each.id) for each in recent]
    attempted = [story.occurrence for story in stories if str(request.run.id) in _runs_of(story)]
    asked_for = [each.occurrence for each in request.meant if each.occurrence]
    return attempted or (await opened.history.list(ids=asked_for) if asked_for else [])


def _runs_of(story: "Story") -> set[str]:
    return {run for run in (story.flow_run_id, *(attempt.flow_run_id for attempt in story.attempts)) if run}
