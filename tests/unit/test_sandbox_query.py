"""The sandbox's search language against messages built by hand."""

import pytest

from gda.sandbox.content import Content
from gda.sandbox.mailbox import INBOX_UNREAD, Mailbox, Message
from gda.sandbox.query import matches, only_message_id, parse_query, shows_hidden
from tests.support.sandbox import plain_mail

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
ATTACHED = (
    b'From: a@example.org\nSubject: With a file\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n'
    b"--b\nContent-Type: text/plain\n\nSee the file.\n--b\nContent-Type: text/csv\n"
    b'Content-Disposition: attachment; filename="figures.csv"\n\n1,2\n--b--\n'
)


def a_message(raw: bytes | None = None, *, hours_old: int = 2, labels: tuple[str, ...] = INBOX_UNREAD) -> Message:
    default = plain_mail(
        "Quarterly report", sender="Grace <grace@example.net>", message_id="Q1.x@example.net", body="The harbour grew."
    )
    return Mailbox("ada@example.org").add(
        Content(raw or default), internal_ms=NOW_MS - hours_old * HOUR_MS, labels=labels
    )


def found(query: str, message: Message) -> bool:
    return matches(message, parse_query(query), NOW_MS)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "from:grace@example.net",
        "from:GRACE",
        "to:ada",
        "subject:report",
        'subject:"quarterly report"',
        "rfc822msgid:<Q1.x@example.net>",
        "rfc822msgid:q1.X@example.net",
        "in:inbox",
        "in:anywhere",
        "label:UNREAD",
        "is:unread",
        "newer_than:1d",
        "newer_than:3h",
        "older_than:1h",
        "harbour grew",
        '"harbour grew"',
        "-from:linus subject:report",
        "-has:attachment",
    ],
)
def test_a_query_finds_the_message(query: str) -> None:
    assert found(query, a_message())


@pytest.mark.parametrize(
    "query",
    [
        "from:linus",
        "to:grace",
        "subject:harbour",
        "rfc822msgid:other@example.net",
        "in:spam",
        "-in:inbox",
        "is:read",
        "newer_than:1h",
        "older_than:1d",
        '"grew harbour"',
        "-harbour",
        "has:attachment",
        "colour:harbour",
    ],
)
def test_a_query_passes_the_message_over(query: str) -> None:
    assert not found(query, a_message())


def test_after_includes_its_instant_and_before_excludes_it() -> None:
    message = a_message(hours_old=2)
    instant = message.internal_ms // 1000

    assert found(f"after:{instant}", message)
    assert not found(f"after:{instant + 1}", message)
    assert not found(f"before:{instant}", message)
    assert found(f"before:{instant + 1}", message)


def test_a_date_means_midnight_in_pacific_time() -> None:
    # 2026-09-21T14:13:20Z is the 21st in California too; its midnight there is 07:00 UTC.
    message = a_message(hours_old=0)

    assert found("after:2026/09/21", message)
    assert found("after:2026-09-21 before:2026/9/22", message)
    assert not found("after:2026/09/22", message)


def test_a_value_that_is_no_time_counts_as_a_word() -> None:
    assert not found("after:tomorrow", a_message())
    assert parse_query("after:2026/13/45")[0].field == "word"


def test_an_attachment_is_found() -> None:
    message = a_message(ATTACHED)

    assert found("has:attachment", message)
    assert not found("-has:attachment", message)


def test_only_a_query_that_names_them_shows_spam_and_bin() -> None:
    assert shows_hidden(parse_query("in:spam"))
    assert shows_hidden(parse_query("in:anywhere from:x"))
    assert not shows_hidden(parse_query("-in:spam from:x"))


def test_the_message_id_that_every_match_must_have_is_given_without_brackets() -> None:
    assert only_message_id(parse_query("from:x rfc822msgid:<A@b>")) == "a@b"
    assert only_message_id(parse_query("-rfc822msgid:<A@b>")) is None
