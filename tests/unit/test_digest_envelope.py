"""The envelope: what goes out reads back as it was meant, and no value can add a header."""

import email
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gda.digest import Recipient, Rendered, as_bytes, build_email, message_id_for
from gda.errors import UsageError
from gda.mail import Address, parse_message
from gda.mail.addresses import parse_address
from gda.mail.headers import unfold

ADA = Address("Ada", "ada@example.com")
DATE = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "X-GDA-Occurrence",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]


def made(
    *,
    subject: str = "Your digest",
    text: str = "Hello\n",
    html: str = "<p>Hello</p>\n",
    sender: str = "GDA <gda@example.com>",
    to: Address | Recipient = ADA,
    message_id: str = "<digest-42@example.com>",
    occurrence_id: str = "digest-42",
) -> EmailMessage:
    return build_email(
        Rendered(subject, html, text),
        sender=sender,
        recipient=to,
        message_id=message_id,
        occurrence_id=occurrence_id,
        date=DATE,
    )


def received(mail: EmailMessage) -> EmailMessage:
    return email.message_from_bytes(as_bytes(mail), policy=policy.default)


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_the_mail_reads_back_with_every_header_and_both_bodies() -> None:
    mail = received(made())
    assert mail.keys() == HEADERS
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "GDA <gda@example.com>",
        "Ada <ada@example.com>",
        "Your digest",
    )
    assert (mail["Message-ID"], mail["X-GDA-Occurrence"], mail["Auto-Submitted"]) == (
        "<digest-42@example.com>",
        "digest-42",
        "auto-generated",
    )
    assert mail["Date"].datetime == DATE
    assert mail.get_content_type() == "multipart/alternative"
    assert (body(mail, "plain"), body(mail, "html")) == ("Hello\n", "<p>Hello</p>\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "no newline at the end",
        "trailing space \n.\n..\nFrom me\n",
        "=equals= --==gda-digest==\n",
        "x" * 5000,
        "日本語" * 500,
        "é" * 10,
    ],
)
def test_fast_bytes_are_what_the_standard_library_would_write(text: str) -> None:
    mail = made(
        text=text,
        html=f"<p>{text}</p>",
        subject=text.replace("\n", " ")[:200],
        to=Address(text[:60].replace("\n", " "), "a@example.com"),
    )
    raw = as_bytes(mail)
    assert raw == mail.as_bytes()
    assert max(map(len, raw.split(b"\r\n"))) <= 98
    assert b"\n" not in raw.replace(b"\r\n", b"")
    again = received(mail)
    assert body(again, "plain") == text
    assert body(again, "html") == f"<p>{text}</p>"


def test_equal_arguments_give_equal_bytes() -> None:
    assert as_bytes(made()) == as_bytes(made())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ada",
        "Lovelace, Ada",
        'A "Q" B',
        "back\\slash",
        "Ünï",
        "山田 太郎",
        "=?utf-8?q?x?=",
        "a@b",
        "x" * 70,
        "ü" * 90,
        "<b>",
        "(c)",
        "semi;colon:",
    ],
)
def test_a_recipients_name_arrives_as_it_was(name: str) -> None:
    mail = made(to=Recipient("ada@example.com", name, "UTC"))
    assert [each.addr_spec for each in received(mail)["To"].addresses] == ["ada@example.com"]
    # Python 3.11 reads a name of several encoded words with spaces between them, so it is read with our own eyes.
    read = parse_address(unfold(dict(mail.raw_items())["To"].encode()))
    assert read == Address(name, "ada@example.com")


@pytest.mark.parametrize(
    "subject", ["Überraschung", "=?utf-8?q?raw?=", "x " * 200 + "x", "日本" * 100, "{{ x }} %s", "a\ttab"[:1]]
)
def test_a_subject_arrives_as_it_was(subject: str) -> None:
    assert received(made(subject=subject))["Subject"] == subject


@pytest.mark.parametrize(
    "bad", ["\r", "\n", "\x00", "\r\nBcc: x@example.com", "\x0b", "\x85", "\u2028", "\x7f", "\ud800"]
)
def test_a_line_break_or_control_character_in_any_header_is_refused(bad: str) -> None:
    value = f"a{bad}b"
    for attempt in (
        {"subject": value},
        {"sender": f"{value} <gda@example.com>"},
        {"to": Address(value, "ada@example.com")},
        {"to": Address("Ada", f"ada{bad}@example.com")},
        {"message_id": f"<{value}@example.com>"},
        {"occurrence_id": value},
    ):
        with pytest.raises(UsageError):
            made(**attempt)


@pytest.mark.parametrize(
    "address", ["", "nobody", "@example.com", "a@", "a b@example.com", "a@b@c", "a@example.com, b@example.com", "<a@b>"]
)
def test_what_is_no_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        made(to=Address("Ada", address))
    assert len(address) < 4 or address not in str(refused.value)


def test_a_domain_of_another_script_is_encoded() -> None:
    assert b"<ada@xn--bcher-kva.example>" in as_bytes(made(to=Address("Ada", "ada@bücher.example")))


def test_a_naive_date_is_refused() -> None:
    with pytest.raises(UsageError, match="timezone"):
        build_email(
            Rendered("s", "h", "t"),
            sender="gda@example.com",
            recipient=Address("", "a@example.com"),
            message_id="<a@b>",
            occurrence_id="a",
            date=DATE.replace(tzinfo=None),
        )


def test_a_message_id_is_made_of_the_occurrence_and_the_domain() -> None:
    assert message_id_for("0198c1f2-aa", "gda.example.com") == "<0198c1f2-aa@gda.example.com>"
    for occurrence, domain in (
        ("a b", "x.y"),
        ("a", "x y"),
        ("", "x"),
        ("a", ""),
        ("a>", "x"),
        ("a\n", "x"),
        ("a", "x\n"),
        ("ü", "x"),
    ):
        with pytest.raises(UsageError):
            message_id_for(occurrence, domain)


def test_our_own_mail_is_recognised_when_it_comes_back() -> None:
    message = parse_message(as_bytes(made()), id="x", thread_id="x", received_at=DATE)
    assert (message.occurrence, message.message_id, message.bulk) == ("digest-42", "<digest-42@example.com>", True)
    assert (message.sender.name, message.subject, message.sent_at) == ("GDA", "Your digest", DATE)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=120), st.text(max_size=120))
def test_no_text_can_add_or_change_a_header(subject: str, name: str) -> None:
    try:
        mail = made(subject=subject, to=Address(name, "ada@example.com"))
    except UsageError:
        return
    again = received(mail)
    assert again.keys() == HEADERS
    assert [each.addr_spec for each in again["To"].addresses] == ["ada@example.com"]
    assert again["Message-ID"] == "<digest-42@example.com>"
