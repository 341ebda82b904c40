"""Mail made to cost much, and random bytes: a message comes back, soon, and keeps the rules every message keeps."""

from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gda.mail import NO_SUBJECT, Message, parse_message

# Each of these takes well under a second; read in quadratic time they would take minutes, and are ended.
pytestmark = pytest.mark.timeout(60)

NOW = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)


def read(raw: bytes) -> Message:
    return parse_message(raw, id="m1", thread_id="t1", received_at=NOW)


def rich_mail() -> bytes:
    made = EmailMessage(policy=policy.SMTP)
    made["From"] = "Ünï Çödé <uni@example.com>"
    made["To"] = "Me <me@example.com>, you@example.com"
    made["Subject"] = "Grüße aus Köln"
    made["Date"] = "Sat, 07 Mar 2026 10:00:00 +0100"
    made["Message-ID"] = "<1@example.com>"
    made["In-Reply-To"] = "<0@example.com>"
    made.set_content("Der Zug fährt um neun.\n\n> alt\n-- \nUnï\n")
    made.add_alternative("<p>Der Zug fährt um <b>neun</b>.</p>", subtype="html")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Fahrplan.pdf")
    return made.as_bytes()


def nested(levels: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (at, at) for at in range(levels))


def many_parts(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * count


HTML = b"Content-Type: text/html\n\n"
BOMBS = {
    "5,000 nested parts": nested(5_000),
    "10,000 nested parts": nested(10_000),
    "10,000 mails in mails": b"Content-Type: message/rfc822\n\n" * 10_000,
    "10,000 parts": many_parts(10_000),
    "100,000 parameters": b"Content-Type: multipart/mixed" + b';a="' * 100_000 + b"\n\nz",
    "an attachment's name of words without end": b"Content-Type: a/b; name=" + b"=?a?b?" * 50_000 + b"\n\nz",
    "100,000 reports of delivery": b"Content-Type: message/delivery-status\n\n" + b"A: b\n\n" * 100_000,
    "two million returns": b"\n" + b"\r" * 2_000_000,
    "base64 without line ends": b"Content-Transfer-Encoding: base64\n\n" + b"A" * 5_000_000,
    "a million lines like a boundary": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--bb\n" * 1_000_000,
    "100,000 nested tags": HTML + b"<div>" * 100_000,
    "unclosed tags": HTML + b"<" * 200_000,
    "huge header": b"X: " + b"y" * 3_000_000 + b"\n\nz",
    "500,000 headers": b"A: b\n" * 500_000 + b"\nz",
    "encoded words without end": b"X-A: 1\nComments: " + b"=?a?b?" * 100_000 + b"\n\nz",
    "uuencode without end": b"\n" + b"begin 644 a\n" * 10_000,
    "spaces": b"\n" + b" " * 1_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_and_keeps_its_sender(name: str) -> None:
    message = read(b"From: Ada <ada@example.com>\nSubject: Boo\n" + BOMBS[name])
    assert (message.sender.name, message.subject) == ("Ada", "Boo")


@pytest.mark.parametrize(
    "field", [b"From: a", b'From: "', b"From: (", b"From: a@b,", b"Subject: =?a?b?", b"Subject: \t "]
)
def test_a_field_of_repeated_signs_costs_little(field: bytes) -> None:
    message = read(field + field.partition(b" ")[2] * 20_000 + b" " * 20_000 + b"x\n\n")
    assert message.id == "m1"


def holds(message: Message) -> None:
    for line in (message.sender.name, message.sender.email, message.subject, *message.attachments):
        assert not any(sign in line for sign in "\r\n\x00\u202e\u2066\u2028")
        line.encode("utf-8")  # No lone surrogate is left.
    assert message.sender.shown
    assert message.subject
    assert len(message.text) <= 8_000
    assert (message.subject == NO_SUBJECT) == ("subject" in message.placeholders)
    assert not any(problem.startswith("unreadable") for problem in message.problems), "the last net was needed"


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=2_000))
def test_any_bytes_make_a_message(raw: bytes) -> None:
    holds(read(raw))


PIECES = st.sampled_from(
    [
        b"From: ",
        b"Subject: ",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b" ",
        b"=?utf-8?q?",
        b"?=",
        b"=?x?b?",
        b"--b",
        b"--b--",
        b"<",
        b">",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: text/html; charset=utf-7\r\n",
        b"@",
        b",",
        b":",
        b";",
        b'"',
        b"(",
        b")",
        b"\\",
        b"Date: ",
        b"Content-Transfer-Encoding: base64\r\n",
        b"\x00",
        b"\xff",
        b"\xe2\x80\xae",
        b"a",
        b"1",
        b"filename*0*=",
        b"Content-Disposition: attachment; ",
        b"begin 644 x\n",
        b"<p>",
        b"</p>",
        b"Content-Type: ",
        b"\x1b$B",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=60))
def test_any_order_of_mail_like_pieces_makes_a_message(pieces: list[bytes]) -> None:
    holds(read(b"".join(pieces)))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5_000), st.binary(max_size=4)), min_size=1, max_size=12))
def test_a_real_mail_with_bytes_changed_makes_a_message(changes: list[tuple[int, bytes]]) -> None:
    raw = bytearray(rich_mail())
    for at, new in changes:
        place = at % len(raw)
        raw[place : place + len(new)] = new
    holds(read(bytes(raw)))


def test_large_attachments_hide_neither_the_text_nor_each_other() -> None:
    made = EmailMessage(policy=policy.SMTP)
    made.set_content("See both.")
    for name in ("a.pdf", "b.pdf"):
        made.add_attachment(b"%PDF" * 500_000, maintype="application", subtype="pdf", filename=name)
    message = read(made.as_bytes())
    assert (message.text, message.attachments, message.problems) == ("See both.", ("a.pdf", "b.pdf"), ("no-date",))


def test_what_was_read_before_a_limit_stands() -> None:
    message = read(b"Content-Type: multipart/mixed; boundary=a\n\n--a\n\nFirst.\n--a\n" + nested(100))
    assert message.text == "First."


def test_limits_that_were_reached_are_noted() -> None:
    assert "huge-mail" in read(b"\n" + b"word " * 200_000).problems
    assert "nested-too-deep" in read(nested(100)).problems
    assert "too-many-parts" in read(many_parts(1_000)).problems
