"""``gda notifications`` on a database of the test's own."""

import asyncio
import json

import pytest

from gda.notify.webpush import new_push_key, read_push_key
from gda.store import NewNotification
from tests.support.command import Gda, ledger, make_database
from tests.support.sandbox import running_sandbox

SECRET = "canary-chat-7Wq1"


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    gda = Gda(capsys)
    assert gda("user", "add", "ada@example.org", "--timezone", "Europe/Berlin").code == 0
    return gda


def write(*titles: str) -> None:
    for title in titles:
        new = NewNotification("ada", f"cause/{title}", title, "body")
        ledger(lambda store, new=new: store.notifications.put(new))  # type: ignore[misc]


def titles(gda: Gda, *words: str) -> set[str]:
    return {each["title"] for each in json.loads(gda("notifications", "list", "ada", *words, "--json").out)}


def test_what_was_told_is_listed_and_marked_as_read(gda: Gda) -> None:
    assert "nothing to read" in gda("notifications", "list", "ada").err
    write("rain", "snow")
    head, *lines = gda("notifications", "list", "ada").out.splitlines()
    assert head.split() == ["id", "at", "read", "title", "body"]
    [rain] = [line.split()[0] for line in lines if "rain" in line]
    assert gda("notifications", "read", "ada", rain).out == "1 marked as read\n"
    assert (titles(gda), titles(gda, "--unread")) == ({"rain", "snow"}, {"snow"})
    assert json.loads(gda("notifications", "read", "ada", "--json").out) == {"read": 1}
    assert titles(gda, "--unread") == set()


def test_channels_and_quiet_hours_are_chosen_shown_and_changed_apart(gda: Gda) -> None:
    def shown() -> dict[str, object]:
        found: dict[str, object] = json.loads(gda("notifications", "prefer", "ada", "--json").out)
        return found

    nothing = {"chat": False, "browsers": 0, "held": 0}
    assert shown() == {"user": "ada", "channels": ["inbox", "mail"], "quiet": None, **nothing}
    said = gda("notifications", "prefer", "ada", "--channels", "push,inbox", "--quiet", "22:00-07:00").out
    assert dict(line.split(None, 1) for line in said.splitlines())["quiet"] == "22:00-07:00"
    assert shown() == {"user": "ada", "channels": ["inbox", "push"], "quiet": "22:00-07:00", **nothing}
    assert gda("notifications", "prefer", "ada", "--channels", "none").code == 0
    assert shown() == {"user": "ada", "channels": [], "quiet": "22:00-07:00", **nothing}
    assert gda("notifications", "prefer", "ada", "--quiet", "off").code == 0
    assert shown() == {"user": "ada", "channels": [], "quiet": None, **nothing}


def test_a_chats_address_is_kept_used_and_never_shown(gda: Gda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDA_CHAT_URL", f"jsons://chat.example.org/{SECRET}")
    kept = gda("notifications", "chat", "ada")
    shown = gda("notifications", "prefer", "ada", "--json")
    assert (json.loads(shown.out)["channels"], json.loads(shown.out)["chat"]) == (["inbox", "mail", "chat"], True)
    assert SECRET not in kept.out + kept.err + shown.out
    assert gda("notifications", "prefer", "ada", "--channels", "inbox,chat").code == 0
    assert json.loads(gda("notifications", "prefer", "ada", "--json").out)["chat"] is True
    assert gda("notifications", "chat", "ada", "--remove").out == "ada is told nothing by chat any more\n"
    left = json.loads(gda("notifications", "prefer", "ada", "--json").out)
    assert (left["channels"], left["chat"]) == (["inbox"], False)


def test_a_trial_says_what_reached_the_user(gda: Gda, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gda("notifications", "prefer", "ada", "--channels", "inbox").code == 0
    assert gda("notifications", "test", "ada").out == "skipped: no channel of the user's is ready\n"

    async def tried() -> list[str]:
        async with running_sandbox() as google:
            monkeypatch.setenv("GDA_CHAT_URL", google.http.replace("http", "json", 1) + "/chat/ada")
            assert (await asyncio.to_thread(gda, "notifications", "chat", "ada")).code == 0
            done = await asyncio.to_thread(gda, "notifications", "test", "ada", "--json")
            assert json.loads(done.out)["reason"] == "chat"
            return [one.title for one in google.sandbox.notices.chat]

    assert asyncio.run(tried()) == ["A trial of your channels"]


def test_a_push_key_is_made_and_then_its_public_half_shown(gda: Gda, monkeypatch: pytest.MonkeyPatch) -> None:
    made = gda("notifications", "push-key")
    assert "keep it as GDA_PUSH_KEY" in made.err
    monkeypatch.setenv("GDA_PUSH_KEY", made.out.strip())
    assert gda("notifications", "push-key").out.strip() == read_push_key(made.out).public
    assert read_push_key(new_push_key()).public != read_push_key(made.out).public


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("list", "bob"), "user 'bob'"),
        (("list", "ada", "-n", "0"), "show from 1 to"),
        (("read", "ada", "x"), "notification 'x' is not in the inbox"),
        (("prefer", "ada", "--channels", "inbox,fax"), "choose of inbox, mail, push, chat, or none"),
        (("prefer", "ada", "--channels", ""), "choose of inbox, mail, push, chat, or none"),
        (("prefer", "ada", "--quiet", "at night"), "write them as 22:00-07:00, or off"),
        (("prefer", "ada", "--quiet", "07:00-07:00"), "would never end"),
        (("chat", "ada"), "none that Apprise knows"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_and_nothing_is_written(
    gda: Gda, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], part: str
) -> None:
    monkeypatch.setenv("GDA_CHAT_URL", f"carrier-pigeon://{SECRET}")
    refusal = gda("notifications", *words).refusal
    assert part in refusal
    assert SECRET not in refusal
    assert json.loads(gda("notifications", "prefer", "ada", "--json").out)["channels"] == ["inbox", "mail"]
