"""Why: one sentence for each thing that can have happened to an occurrence, or to a slot without one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gda.lifecycle import Occurrence, Status
from gda.store import Attempt, Revision, Schedule, Story
from gda.why import Missing, why_missing, why_occurrence
from tests.builders import an_occurrence

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MADE = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
SCHEDULE = Schedule(
    id="s1",
    user_id="ada",
    kind="digest",
    name="default",
    expression="daily 07:30",
    timezone="UTC",
    inherits_timezone=True,
    enabled=True,
    user_status="active",
    revision=1,
    active_from=MADE,
    next_due_at=None,
)
FIRST = Revision("daily 07:30", "UTC", MADE, None)


def told(slot: str, *revisions: Revision, skipped: tuple[Occurrence, ...] = (), **schedule: Any) -> str:
    """The sentence for a slot without a row, without the name it begins with."""
    sentence = why_missing(Missing(slot, replace(SCHEDULE, **schedule), revisions or (FIRST,), skipped, NOW))
    assert sentence.startswith(f"digest of ada, slot {slot}: ")
    return sentence.removeprefix(f"digest of ada, slot {slot}: ")


def of(status: Status, attempts: int = 1, dead: str | None = None, run: str | None = None, **changes: Any) -> str:
    """The sentence for an occurrence."""
    found = an_occurrence(status=status, **changes)
    one = Attempt(1, "worker", run, NOW, NOW, "done", None, None, None)
    return why_occurrence(Story(found, (one,) * attempts, (), dead, run), NOW)


@pytest.mark.parametrize(
    ("slot", "says"),
    [
        ("2026-03-05T08:00", "it is no slot of 'daily 07:30' in UTC nor of what the schedule was before"),
        ("2026-02-27T07:30", "it was due at 2026-02-27T07:30:00Z and the schedule was made at 2026-03-01T00:00:00Z"),
        ("2026-03-11T07:30", "not due before 2026-03-11T07:30:00Z; it is promised then"),
        (
            "2026-03-10T07:30",
            "due since 2026-03-10T07:30:00Z and not promised yet; the next wake-up, or the sweep, does",
        ),
    ],
)
def test_a_slot_without_a_row_is_explained_by_its_schedule(slot: str, says: str) -> None:
    assert says in told(slot)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"enabled": False}, "the schedule is paused"),
        ({"user_status": "paused"}, "the user is paused"),
        ({"problem": "unknown word"}, "the schedule cannot be read (unknown word)"),
        ({"active_from": NOW}, "was due at 2026-03-10T07:30:00Z and the schedule was resumed at 2026-03-10T12:00:00Z"),
    ],
)
def test_what_keeps_a_schedule_from_promising_is_named(state: dict[str, Any], says: str) -> None:
    assert says in told("2026-03-10T07:30", **state)


def test_a_slot_that_an_edit_took_away_says_when() -> None:
    edited = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
    before = Revision("daily 07:30", "UTC", MADE, edited)
    after = Revision("daily 06:00", "UTC", edited, None)
    assert "changed at 2026-03-10T07:00:00Z, before it was due" in told("2026-03-10T07:30", before, after)
    assert "the schedule became what it is at 2026-03-10T07:00:00Z" in told("2026-03-10T06:00", before, after)


def test_a_slot_within_a_range_refused_as_a_whole_names_the_row_that_says_so() -> None:
    reason = "missed, and older than the catch-up window of 12 h: 2026-03-03T07:30 .. 2026-03-08T07:30, 6 slots"
    row = an_occurrence(id="r1", status=Status.SKIPPED, reason=reason)
    assert told("2026-03-05T07:30", skipped=(row,)) == (
        "skipped together with others (missed, and older than the catch-up window of 12 h), as occurrence r1 says."
    )
    assert "r1" not in told("2026-03-09T07:30", skipped=(row,))


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        (
            of(Status.DONE, finished_at=NOW, reason="3 messages"),
            "done at 2026-03-10T12:00:00Z in its first attempt (3 ",
        ),
        (of(Status.DONE, woken_by="sweep"), "promised by the sweep, because no wake-up had come for it"),
        (of(Status.SKIPPED, reason="nothing new", finished_at=NOW), "skipped at 2026-03-10T12:00:00Z (nothing new)"),
        (of(Status.DEAD, attempts=10, dead="attempts", reason="503"), "dead after 10 attempts: attempts (503)"),
        (of(Status.RUNNING, run="r7"), "being performed now in its first attempt"),
        (of(Status.RUNNING, run="r7"), "last held by Prefect run r7"),
        (of(Status.HELD, reason="needs consent"), "held until its cause clears (needs consent)"),
        (
            of(Status.RETRYING, reason="503", ready_at=NOW + timedelta(minutes=3)),
            "waits for 2026-03-10T12:03:00Z (503)",
        ),
        (of(Status.SCHEDULED, ready_at=NOW), "ready since 2026-03-10T12:00:00Z, waits for a run to take it"),
        (of(Status.RETRYING, ready_at=NOW, suspect=True), "a worker died under it, so it runs alone"),
    ],
)
def test_an_occurrence_says_how_it_ended_or_what_it_waits_for(sentence: str, says: str) -> None:
    assert says in sentence
