"""``gda todo`` on a database of the test's own."""

import json

import pytest

from tests.support.command import Gda, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    gda = Gda(capsys)
    assert gda("user", "add", "ada@example.org", "--timezone", "Europe/Berlin").code == 0
    return gda


def add(gda: Gda, *words: str, title: str = "Water the plants") -> None:
    answer = gda("todo", "add", "ada", title, *words)
    assert answer.code == 0, answer


def test_a_todo_is_added_shown_and_listed(gda: Gda) -> None:
    words = ("--id", "plants", "--due", "2030-03-08", "--tag", "home", "--tag", "green", "--priority", "high")
    added = gda("todo", "add", "ada@example.org", "Water the plants", *words, "--repeat", "monthly", "--json")
    made = json.loads(added.out)
    assert (made["id"], made["user_id"], made["tags"]) == ("plants", "ada", ["home", "green"])
    assert (made["due_at"], made["due_day"]) == ("2030-03-08T23:00:00Z", "2030-03-08")
    assert "next: gda todo done plants" in added.err
    shown = dict(line.split(None, 1) for line in gda("todo", "show", "plants").out.splitlines())
    assert shown["due"] == "2030-03-08 Europe/Berlin"
    assert (shown["repeat"], shown["priority"], shown["tags"]) == ("monthly", "high", "home, green")
    assert [each["id"] for each in json.loads(gda("todo", "list", "--json").out)] == ["plants"]


def test_without_an_id_the_first_letters_of_the_made_one_are_enough(gda: Gda) -> None:
    add(gda)
    _, line = gda("todo", "list").out.splitlines()
    short = line.split()[0]
    assert len(short) == 8
    assert gda("todo", "done", short).out == f"{short} is done\n"
    assert gda("todo", "reopen", short).out == f"{short} is open\n"


def test_lists_are_narrowed_by_user_status_and_tag(gda: Gda) -> None:
    add(gda, "--id", "a", "--tag", "home")
    add(gda, "--id", "b")
    gda("todo", "done", "b")

    def ids(*words: str) -> list[str]:
        return [each["id"] for each in json.loads(gda("todo", "list", "--json", *words).out)]

    assert ids("--status", "done") == ["b"]
    assert ids("--tag", "home") == ["a"]
    assert ids("--user", "ada", "-n", "1") == ["a"]
    assert "gda todo add" in gda("todo", "list", "--tag", "none").err


def test_a_change_says_what_it_left(gda: Gda) -> None:
    add(gda, "--id", "plants", "--due", "2030-03-08T09:00", "--repeat", "weekly", "--interval", "2", "--count", "4")
    changed = json.loads(gda("todo", "set", "plants", "--due", "2030-03-09", "--json").out)
    assert (changed["due_day"], changed["repeat"]["start"], changed["repeat"]["count"]) == (
        "2030-03-09",
        "2030-03-08T09:00",
        4,
    )
    changed = json.loads(gda("todo", "set", "plants", "--repeat", "daily", "--until", "2030-04-01", "--json").out)
    assert (changed["repeat"]["rule"], changed["repeat"]["start"]) == ("daily", "2030-03-09")
    changed = json.loads(gda("todo", "set", "plants", "--due", "none", "--repeat", "none", "--tag", "x", "--json").out)
    assert (changed["due_at"], changed["repeat"], changed["tags"]) == (None, None, ["x"])


def test_several_are_ticked_off_at_once_and_none_where_one_is_unknown(gda: Gda) -> None:
    add(gda, "--id", "a")
    add(gda, "--id", "b")
    assert "to-do 'c' does not exist" in gda("todo", "done", "a", "c").refusal
    assert json.loads(gda("todo", "show", "a", "--json").out)["status"] == "open"
    assert [each["status"] for each in json.loads(gda("todo", "done", "a", "b", "--json").out)] == ["done", "done"]


def test_removing_asks_where_nobody_said_yes(gda: Gda) -> None:
    add(gda, "--id", "plants")
    assert "Remove to-do plants of ada? Nobody can be asked here: say --yes" in gda("todo", "remove", "plants").refusal
    assert gda("todo", "remove", "plants", "--yes").out == "removed plants\n"
    assert "does not exist" in gda("todo", "show", "plants").refusal


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("add", "nobody", "x"), "user 'nobody' does not exist"),
        (("add", "ada", "x", "--due", "soon"), "'soon' is no date"),
        (("add", "ada", "x", "--repeat", "daily"), "needs a due date"),
        (("add", "ada", "x", "--count", "3"), "say --repeat as well"),
        (("add", "ada", "x", "--due", "2030-01-01", "--repeat", "hourly"), "say daily, weekly, monthly, yearly"),
        (("add", "ada", " "), "a title has 1 to 200 characters"),
        (("add", "ada", "x", "--id", "drain!"), "use lower-case letters"),
        (("list", "-n", "0"), "show from 1 to"),
        (("done",), "name the to-dos that are done"),
        (("show", "x"), "to-do 'x' does not exist"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_and_nothing_is_written(
    gda: Gda, words: tuple[str, ...], part: str
) -> None:
    assert part in gda("todo", *words).refusal
    assert json.loads(gda("todo", "list", "--json").out) == []


def test_a_change_of_nothing_is_refused(gda: Gda) -> None:
    add(gda, "--id", "plants")
    assert "nothing to change" in gda("todo", "set", "plants").refusal
