"""``gda enqueue`` on a database of the test's own, with no Prefect."""

import json

import pytest

from gda.cli import enqueue as command
from gda.lifecycle import Occurrence
from gda.store import Store
from tests.support.command import Gda, ledger, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    return Gda(capsys)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The drains that the command asks for."""
    drains: list[tuple[str, str]] = []

    async def ask(kind: str, queue: str) -> None:
        drains.append((kind, queue))

    monkeypatch.setattr(command, "ask_for_drain", ask)
    return drains


def rows() -> list[Occurrence]:
    async def read(store: Store) -> list[Occurrence]:
        return await store.history.list()

    return ledger(read)  # type: ignore[no-any-return]


def test_a_job_is_written_and_its_queue_s_drain_asked_for(gda: Gda, asked: list[tuple[str, str]]) -> None:
    answer = gda("enqueue", "digest", "--queue", "bulk", "--priority", "3", "--metadata", "why=test")
    [row] = rows()
    assert (answer.code, answer.out) == (0, f"{row.id}\n")
    assert (row.queue, row.priority, row.metadata, row.woken_by) == ("bulk", 3, {"why": "test"}, "enqueue")
    assert asked == [("digest", "bulk")]


@pytest.mark.parametrize(("words", "drains"), [(("--in", "1m"), 1), (("--in", "2h"), 0), (("--at", "2099-01-01Z"), 0)])
def test_for_what_is_not_due_soon_the_sweep_will_ask(
    gda: Gda, asked: list[tuple[str, str]], words: tuple[str, ...], drains: int
) -> None:
    words = tuple(word.replace("2099-01-01Z", "2099-01-01T00:00Z") for word in words)
    answer = gda("enqueue", "digest", *words)
    assert (answer.code, len(asked), len(rows())) == (0, drains, 1)
    assert ("the sweep asks for a drain run then" in answer.err) is (drains == 0)


def test_a_dry_run_says_what_would_become_of_it(gda: Gda, asked: list[tuple[str, str]]) -> None:
    keyed = ("enqueue", "digest", "--unique-key", "k", "--on-conflict", "keep")
    first = gda(*keyed, "--dry-run", "--json")
    assert (json.loads(first.out), rows()) == ({"what": "new", "occurrence_id": None, "dry_run": True}, [])
    gda(*keyed)
    [row] = rows()
    assert gda(*keyed, "--dry-run").out == f"kept: {row.id}\n"
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("digests",), "did you mean digest?"),
        (("digest", "--payload", "{n: 1}"), "--payload is no JSON object"),
        (("digest", "--payload", "[1]"), "--payload is no JSON object"),
        (("digest", "--payload", '{"n": 1}'), "kind digest takes no payload: leave it out"),
        (("digest", "--at", "2099-01-01T00:00Z", "--in", "1h"), "an instant and a delay were given: give one of them"),
        (("digest", "--at", "tomorrow"), "--at 'tomorrow' is no instant"),
        (("digest", "--at", "2099-01-01T00:00"), "has no timezone: add one"),
        (("digest", "--in", "soon"), "'soon'"),
        (("digest", "--queue", "fast"), "queue 'fast' does not exist: choose one of critical, default, bulk"),
        (("digest", "--on-conflict", "drop", "--unique-key", "k"), "choose one of reject, keep, replace"),
        (("digest", "--metadata", "why"), "write KEY=VALUE"),
        (("digest", "--max-attempts", "0"), "0 attempts are too few"),
        (("digest", "--user", "nobody"), "user 'nobody' does not exist"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    gda: Gda, asked: list[tuple[str, str]], words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in gda("enqueue", *words).refusal
    assert (rows(), asked) == ([], [])


def test_without_prefect_the_row_is_safe_and_it_says_so(gda: Gda) -> None:
    answer = gda("enqueue", "digest")
    assert (answer.code, len(rows())) == (0, 1)
    assert "no drain run was asked for" in answer.err
