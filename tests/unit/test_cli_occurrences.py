"""``gda occurrences cancel`` on a database of the test's own."""

import json

import pytest

from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.support.command import Gda, ledger, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    return Gda(capsys)


def owed(gda: Gda, *users: str) -> dict[str, str]:
    """A digest owed to each, by user."""
    for user in users:
        gda("user", "add", f"{user}@example.org", "--timezone", "Europe/London")
        gda("schedule", "set", user, "digest", "daily 07:30")

    async def promise(store: Store) -> dict[str, str]:
        await store.ledger.promise_by_hand(Scope("digest"), ByHand(), Waker("hand"))
        return {row.user_id or "": row.id for row in await store.history.list()}

    found: dict[str, str] = ledger(promise)
    return found


def test_what_waits_is_cancelled_with_its_reason(gda: Gda) -> None:
    ids = owed(gda, "ada")
    answer = gda("occurrences", "cancel", ids["ada"][:8], "--reason", "on holiday")
    [row] = json.loads(gda("occurrences", "list", "--json").out)
    assert (answer.code, answer.out) == (0, f"{ids['ada'][:8]}  cancelled\n")
    assert (row["status"], row["reason"]) == ("cancelled", "on holiday")


def test_what_runs_is_left_and_the_answer_says_so(gda: Gda) -> None:
    ids = owed(gda, "ada", "bruno")
    ledger(lambda store: store.ledger.claim(Scope("digest", user_id="ada"), Worker("w"), limit=1))
    answer = gda("occurrences", "cancel", ids["ada"], ids["bruno"], "--json")
    assert answer.code == 2
    assert json.loads(answer.out) == {"cancelled": [ids["bruno"]], "left": {ids["ada"]: "running"}}
    assert "1 of 2 were not cancelled" in answer.err


def test_an_occurrence_that_does_not_exist_cancels_nothing(gda: Gda) -> None:
    ids = owed(gda, "ada")
    assert "'zzz' does not exist" in gda("occurrences", "cancel", ids["ada"], "zzz").refusal
    assert "name the occurrences" in gda("occurrences", "cancel").refusal
    [row] = json.loads(gda("occurrences", "list", "--json").out)
    assert row["status"] == "scheduled"


def test_why_tells_of_an_occurrence_and_of_a_slot_with_or_without_one(gda: Gda) -> None:
    ids = owed(gda, "ada")
    [row] = json.loads(gda("occurrences", "list", "--json").out)
    by_id = gda("occurrences", "why", ids["ada"][:8])
    by_slot = gda("occurrences", "why", "--user", "ada@example.org", "--slot", row["slot"], "--json")
    long_ago = gda("occurrences", "why", "--user", "ada", "--slot", "2020-03-10T07:30")
    assert by_id.out == f"digest of ada, slot {row['slot']}: {by_id.out.partition(': ')[2]}"
    assert "waits for a run to take it; promised by a person" in by_id.out
    assert json.loads(by_slot.out) == {"why": by_id.out.strip(), "occurrence": row}
    assert "never promised, for it was due at 2020-03-10T07:30:00Z and the schedule was made at" in long_ago.out


def test_why_of_neither_or_both_or_of_no_slot_is_refused(gda: Gda) -> None:
    ids = owed(gda, "ada")
    assert "give --user and --slot" in gda("occurrences", "why").refusal
    assert "give --user and --slot" in gda("occurrences", "why", ids["ada"], "--user", "ada", "--slot", "x").refusal
    assert "is no local date and time" in gda("occurrences", "why", "--user", "ada", "--slot", "soon").refusal
    assert (
        "no digest schedule named 'evening'"
        in gda("occurrences", "why", "--user", "ada", "--slot", "2026-03-10T07:30", "--name", "evening").refusal
    )
