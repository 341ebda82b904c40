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
