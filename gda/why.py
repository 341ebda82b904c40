"""Why: what happened to an occurrence, or to a slot that has none, as a pure sentence over what was read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gda.lifecycle import Occurrence, Status
from gda.schedule import parse_stored, slot_at
from gda.store.history import Story
from gda.store.records import Schedule
from gda.store.revisions import Revision

WAKERS = {
    "schedule": "a deployment's schedule",
    "hand": "a person",
    "drain": "a drain",
    "sweep": "the sweep, because no wake-up had come for it",
    "edit": "an edit of the schedule, which first promises what is owed",
    "enqueue": "a program",
    "replay": "a replay of its dead letter",
}
_RANGE = re.compile(r"(?P<rule>.*): (?P<first>\S+) \.\. (?P<last>\S+), \d+ slots$")


@dataclass(frozen=True, slots=True)
class Missing:
    """A slot without a row of its own, and what is known about its schedule.

    ``skipped`` are the schedule's skipped occurrences from the slot's day on, which may stand for a range; ``now`` is
    the ledger's instant (aware).
    """

    slot: str
    schedule: Schedule
    revisions: Sequence[Revision]
    skipped: Sequence[Occurrence]
    now: datetime


def why_occurrence(story: Story, now: datetime) -> str:
    """Tell what became of an occurrence, and why.

    Args:
        story: the occurrence with its attempts.
        now: the ledger's instant (aware).
    """
    found = story.occurrence
    woken = f"promised by {WAKERS.get(found.woken_by, found.woken_by)}"
    return f"{_name(found)}: {_ending(story, now)}; {woken}{_run(story)}."


def why_missing(asked: Missing) -> str:
    """Tell why a slot has no occurrence: refused with others, not due yet, never promised, or no slot at all."""
    name = f"{asked.schedule.kind} of {asked.schedule.user_id or 'the operator'}, slot {asked.slot}"
    for row in asked.skipped:
        found = _RANGE.match(row.reason)
        if found and found["first"] <= asked.slot <= found["last"]:
            return f"{name}: skipped together with others ({found['rule']}), as occurrence {row.id} says."
    return f"{name}: {_absence(asked)}."


def _absence(asked: Missing) -> str:
    due = [(one, at) for one in asked.revisions if (at := _due_in(one, asked.slot)) is not None]
    if not due:
        spelled = f"{asked.schedule.expression!r} in {asked.schedule.timezone}"
        return f"never promised, for it is no slot of {spelled} nor of what the schedule was before"
    for revision, at in due:
        if revision.active_from <= at and (revision.active_until is None or at < revision.active_until):
            return _within(asked, at)
    revision, at = due[-1]
    if revision.active_until is not None and at >= revision.active_until:
        return f"never promised, for the schedule was changed at {_at(revision.active_until)}, before it was due"
    since = "was made" if revision is asked.revisions[0] else "became what it is"
    return f"never promised, for it was due at {_at(at)} and the schedule {since} at {_at(revision.active_from)}"


def _within(asked: Missing, at: datetime) -> str:
    schedule = asked.schedule
    if schedule.problem:
        return f"never promised, for the schedule cannot be read ({schedule.problem})"
    if schedule.user_status == "paused":
        return "never promised, for the user is paused"
    if not schedule.enabled:
        return "never promised, for the schedule is paused"
    if schedule.paused_in_prefect_at is not None and at >= schedule.paused_in_prefect_at:
        return "waits for the sweep to refuse it: the schedule is paused in Prefect"
    if at > asked.now:
        return f"not due before {_at(at)}; it is promised then"
    if at < schedule.active_from:
        return (
            f"never promised, for it was due at {_at(at)} and the schedule was resumed at {_at(schedule.active_from)}"
        )
    return f"due since {_at(at)} and not promised yet; the next wake-up, or the sweep, does"


def _due_in(revision: Revision, slot: str) -> datetime | None:
    due = slot_at(parse_stored(revision.expression), revision.timezone, slot)
    return due.due_at if due else None


def _ending(story: Story, now: datetime) -> str:
    found, tries = story.occurrence, _tries(story)
    reason = f" ({found.reason})" if found.reason else ""
    match found.status:
        case Status.DONE:
            return f"done at {_at(found.finished_at)} {tries}{reason}; any other wake-up for it finds it settled"
        case Status.SKIPPED | Status.CANCELLED | Status.DISCARDED:
            return f"{found.status} at {_at(found.finished_at)}{reason}"
        case Status.DEAD:
            return f"dead {tries}: {story.dead_reason}{reason}; `gda dead-letters show {found.id}` tells more"
        case Status.RUNNING:
            return f"being performed now {tries}"
        case Status.HELD:
            return f"held until its cause clears{reason}"
        case _:
            return _waiting(story, now, reason)


def _waiting(story: Story, now: datetime, reason: str) -> str:
    found = story.occurrence
    alone = "; a worker died under it, so it runs alone" if found.suspect else ""
    if found.ready_at > now:
        return f"waits for {_at(found.ready_at)}{reason}{alone}"
    other = f"slot {story.waits_for} of its schedule to end" if story.waits_for else "a run to take it"
    return f"ready since {_at(found.ready_at)}, waits for {other}{reason}{alone}"


def _tries(story: Story) -> str:
    count = len(story.attempts)
    return "in its first attempt" if count == 1 else f"after {count} attempts"


def _run(story: Story) -> str:
    return f", last held by Prefect run {story.flow_run_id}" if story.flow_run_id else ""


def _name(found: Occurrence) -> str:
    return f"{found.kind} of {found.user_id or 'the operator'}, {f'slot {found.slot}' if found.slot else 'extra'}"


def _at(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}" if instant else "an unknown time"
