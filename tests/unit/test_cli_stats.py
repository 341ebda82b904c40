"""``gda stats`` on a database of the test's own."""

import json

import pytest

from gda.store import ByHand, Scope, Store, Waker
from tests.builders import a_user_with_digest
from tests.support.command import Gda, ledger, make_database


def test_a_kind_is_shown_with_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    make_database()
    gda = Gda(capsys)
    empty = gda("stats")

    async def fill(store: Store) -> None:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(Scope("digest", user_id="ada"), ByHand(), Waker("hand"))

    ledger(fill)
    shown = gda("stats")
    found = json.loads(gda("stats", "--kind", "digest", "--since", "2d", "--json").out)
    assert (empty.code, empty.out, empty.err.strip()) == (0, "", "nothing was due or tried in the last 24h")
    assert shown.out.split() == ["kind", "occurrences", "attempts", "took", "late", "digest", "1", "scheduled", "0"]
    assert found["since_seconds"] == 2 * 86_400
    assert found["kinds"] == [
        {"kind": "digest", "counts": {"scheduled": 1}, "attempts": 0, "duration": None, "lateness": None}
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--kind", "digets"), "kind 'digets' is not registered: did you mean digest"),
        (("--since", "yesterday"), "duration 'yesterday' is not understood: write a number and s, m, h or d"),
        (("--since", "0h"), "--since 0h: give more than 0s"),
        (("--since", "9999d"), "--since 9999d: give more than 0s and at most 3650d"),
    ],
)
def test_bad_words_are_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    make_database()
    assert sentence in Gda(capsys)("stats", *words).refusal
