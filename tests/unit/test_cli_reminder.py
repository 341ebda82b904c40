"""``gda reminder`` on a database of the test's own."""

import json

import pytest

from tests.support.command import Gda, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    gda = Gda(capsys)
    assert gda("user", "add", "ada@example.org", "--timezone", "Europe/Berlin").code == 0
    assert gda("todo", "add", "ada", "Pay the rent", "--id", "rent", "--due", "2030-01-31T09:00").code == 0
    return gda


def test_a_reminder_is_added_shown_listed_and_removed(gda: Gda) -> None:
    made = json.loads(gda("reminder", "add", "rent", "--before", "1d", "--id", "day", "--json").out)
    assert (made["todo_id"], made["user_id"], made["remind_at"]) == ("rent", "ada", "2030-01-30T08:00:00Z")
    assert gda("reminder", "add", "rent", "--at", "2030-01-31T08:30", "--id", "soon").code == 0
    shown = dict(line.split(None, 1) for line in gda("reminder", "show", "soon").out.splitlines())
    assert (shown["to-do"], shown["at"], shown["status"]) == ("rent", "2030-01-31T07:30:00Z", "pending")
    head, *lines = gda("reminder", "list", "--user", "ada", "--todo", "rent").out.splitlines()
    assert head.split() == ["id", "to-do", "user", "at", "status", "reason"]
    assert [line.split()[0] for line in lines] == ["day", "soon"]
    assert "say --yes" in gda("reminder", "remove", "day").refusal
    assert gda("reminder", "remove", "day", "--yes").out == "removed day\n"
    assert [each["id"] for each in json.loads(gda("reminder", "list", "--json").out)] == ["soon"]


def test_a_reminder_ends_when_its_todo_is_done(gda: Gda) -> None:
    gda("reminder", "add", "rent", "--before", "2h", "--id", "r")
    gda("todo", "done", "rent")
    [ended] = json.loads(gda("reminder", "list", "--status", "cancelled", "--json").out)
    assert (ended["id"], ended["reason"]) == ("r", "the to-do is done")
    assert "gda reminder add" in gda("reminder", "list", "--status", "pending").err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("add", "rent"), "give one of them"),
        (("add", "rent", "--before", "1h", "--at", "2030-01-01T09:00"), "give one of them"),
        (("add", "rent", "--before", "soon"), "duration 'soon' is not understood"),
        (("add", "rent", "--at", "2030-01-01"), "names no time of the day: write it as 2030-01-01T09:00"),
        (("add", "rent", "--at", "2020-01-01T09:00"), "lies in the past"),
        (("add", "house", "--before", "1h"), "to-do 'house' does not exist"),
        (("list", "-n", "0"), "show from 1 to"),
        (("show", "x"), "reminder 'x' does not exist"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_and_nothing_is_written(
    gda: Gda, words: tuple[str, ...], part: str
) -> None:
    assert part in gda("reminder", *words).refusal
    assert json.loads(gda("reminder", "list", "--json").out) == []
