"""``gda dead-letters`` on a database of the test's own."""

import json

import pytest

from gda.store import Store
from tests.integration.test_dead_letters import dead
from tests.support.command import Gda, ledger, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()

    async def die(store: Store) -> None:
        await dead(store, "ada", "bruno")

    ledger(die)
    return Gda(capsys)


def ids(gda: Gda) -> dict[str, str]:
    return {each["user_id"]: each["occurrence_id"] for each in json.loads(gda("dead-letters", "list", "--json").out)}


def test_they_are_listed_grouped_and_shown_with_their_attempts(gda: Gda) -> None:
    found = ids(gda)
    [group] = json.loads(gda("dead-letters", "groups", "--json").out)
    shown = gda("dead-letters", "show", found["ada"][:8]).out
    assert (group["count"], group["reason"]) == (2, "permanent")
    assert f"cause {group['fingerprint']}" in shown
    assert "attempt 1" in shown
    assert "no such mailbox" in gda("dead-letters", "list", "--fingerprint", group["fingerprint"]).out


def test_a_dry_run_replays_nothing_and_a_replay_happens_once(gda: Gda) -> None:
    dry = gda("dead-letters", "replay", "--all", "--dry-run", "--json")
    assert len(json.loads(dry.out)["occurrences"]) == len(ids(gda)) == 2
    assert gda("dead-letters", "replay", "--kind", "digest").out.count("replayed") == 2
    assert "nothing to do" in gda("dead-letters", "replay", "--all").out
    rows = json.loads(gda("occurrences", "list", "--json").out)
    assert {row["status"] for row in rows} == {"scheduled"}


def test_a_dry_run_shows_the_very_letters_that_a_replay_takes(gda: Gda) -> None:
    words = ("dead-letters", "replay", "--all", "--limit", "1", "--json")
    dry, real = json.loads(gda(*words, "--dry-run").out), json.loads(gda(*words).out)
    assert dry["occurrences"] == real["occurrences"]


def test_one_is_replayed_and_the_other_discarded_and_purged(gda: Gda) -> None:
    found = ids(gda)
    assert "digest carry none" in gda("dead-letters", "replay", found["ada"], "--payload", '{"page": 2}').refusal
    assert gda("dead-letters", "replay", found["ada"]).code == 0
    assert gda("dead-letters", "discard", found["bruno"]).code == 0
    rows = {row["user_id"]: row for row in json.loads(gda("occurrences", "list", "--json").out)}
    assert rows["ada"]["status"] == "scheduled"
    assert rows["bruno"]["status"] == "discarded"
    assert gda("dead-letters", "purge").out == "0 purged\n"
    assert gda("dead-letters", "purge", "--older-than-days", "0").out == "2 purged\n"
    assert json.loads(gda("dead-letters", "list", "--closed", "--json").out) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("replay",), "say which"),
        (("discard",), "say which"),
        (("replay", "--all", "--limit", "0"), "--limit 0: give 1 or more"),
        (("replay", "--all", "--per-minute", "-3"), "--per-minute -3"),
        (("replay", "--all", "--payload", "{}"), "name exactly one occurrence"),
        (("replay", "zzz"), "'zzz' does not exist"),
        (("replay", "--reason", "permanet"), "did you mean permanent?"),
        (("list", "--kind", "digset"), "digest"),
        (("list", "--user", "nobody"), "nobody"),
        (("purge", "--older-than-days", "-1"), "give 0 or more"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_changes_nothing(gda: Gda, words: tuple[str, ...], says: str) -> None:
    assert says in gda("dead-letters", *words).refusal
    assert len(ids(gda)) == 2


def test_a_payload_that_is_no_object_is_refused(gda: Gda) -> None:
    found = ids(gda)
    assert "no JSON" in gda("dead-letters", "replay", found["ada"], "--payload", "{page").refusal
    assert "JSON object" in gda("dead-letters", "replay", found["ada"], "--payload", "[1]").refusal
    assert "not both" in gda("dead-letters", "replay", found["ada"], "--all").refusal
    assert len(ids(gda)) == 2
