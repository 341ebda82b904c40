"""Mail made to break parsers: whatever the bytes, a message comes back, soon, with the right sender and subject."""

import base64
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage

import pytest

from gda.mail import NO_SENDER, NO_SUBJECT, Message, parse_message

NOW = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)


def read(raw: bytes) -> Message:
    return parse_message(raw, id="m1", thread_id="t1", received_at=NOW)


def mail(
    subject: bytes = b"Hello", sender: bytes = b"Ada <ada@example.com>", more: bytes = b"", body: bytes = b"Hi.\r\n"
) -> bytes:
    return b"From: " + sender + b"\r\nSubject: " + subject + b"\r\n" + more + b"\r\n" + body


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


def test_an_ordinary_mail_is_read_whole() -> None:
    message = read(rich_mail())
    assert (message.sender.name, message.sender.email) == ("Ünï Çödé", "uni@example.com")
    assert message.subject == "Grüße aus Köln"
    assert message.sent_at == datetime(2026, 3, 7, 9, 0, tzinfo=UTC)
    assert message.text == "Der Zug fährt um neun."
    assert message.attachments == ("Fahrplan.pdf",)
    assert message.to == {"me@example.com", "you@example.com"}
    assert (message.message_id, message.reply, message.bulk, message.problems) == ("<1@example.com>", True, False, ())


SUBJECTS = [
    (b"=?utf-8?q?Caf=C3=A9?=", "Café"),
    (b"=?UTF-8?B?w6k=?= =?UTF-8?B?w6g=?=", "éè"),
    (b"=?utf-8?b?ww==?= =?utf-8?b?qQ==?=", "é"),  # One character cut in two words.
    (b"=?utf-8?B?w6k?=", "é"),  # Padding lost.
    (b"=?utf-8?Q?a b c?=", "a b c"),  # Spaces where the standard wants underscores.
    (b"=?utf-8?Q?Are you there??=", "Are you there?"),
    (b"=?x-nonsense?Q?plain?=", "plain"),
    (b"=?NONE?B?VEVTVA=?=", "TEST"),
    (b"=?gb2312?B?xOO6ww==?=", "你好"),
    (b"=?iso-8859-1*en?Q?na=EFve?=", "naïve"),
    (rb"C:\users =?utf-8?q?=C3=A9?= \u0041", "C:\\users é \\u0041"),
    ("Å =?utf-8?q?=C3=A9?=".encode(), "Å é"),
    ("=?utf-8?q?日本?=".encode(), "日本"),
    (b"=?utf-8?b?w6k=?= and =?utf-8?b?A?=", "é and =?utf-8?b?A?="),
    (b"\r\nSubject: Behind an empty one", "Behind an empty one"),
    (b"=?utf-8?Z?what?=", "=?utf-8?Z?what?="),
    (b"=?utf-8?Q?unfinished", "=?utf-8?Q?unfinished"),
    ("Schöne Grüße".encode(), "Schöne Grüße"),
    ("Schöne Grüße".encode("cp1252"), "Schöne Grüße"),
    (b"\x81\x8d", "(no subject)"),  # Nothing but controls of latin-1.
    (b"\x1b$B$3$s$K$A$O\x1b(B", "こんにちは"),
    (b"folded\r\n\tover\r\n  lines", "folded over lines"),
    (b"two  spaces stay", "two  spaces stay"),
    (b"null\x00byte and \x07bell", "nullbyte and bell"),
    ("pay\u202etxt.exe".encode(), "paytxt.exe"),
    ("\u2066hidden\u2069".encode(), "hidden"),
    ("\u200b\u200b".encode(), "(no subject)"),
    (b"=?utf-8?Q?line=0D=0ABcc:_x@y?=", "line Bcc: x@y"),
    (b"=?utf-8?Q?=ED=A0=80?=", "í\xa0€"),  # A surrogate in UTF-8 is not UTF-8.
    (b"{{ 7*7 }} %s %(x)s ${x}", "{{ 7*7 }} %s %(x)s ${x}"),
    (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
    ("👩‍🚀 lands".encode(), "👩‍🚀 lands"),  # The joiner inside an emoji is kept.
    (b"   ", "(no subject)"),
    (b"x" * 3000, "x" * 499 + "…"),
]


@pytest.mark.parametrize(("raw", "shown"), SUBJECTS)
def test_a_subject_is_shown_as_it_was_meant(raw: bytes, shown: str) -> None:
    assert read(mail(subject=raw)).subject == shown


SENDERS = [
    (b"ada@example.com", "", "ada@example.com"),
    (b"<ada@example.com>", "", "ada@example.com"),
    (b'"Lovelace, Ada" <ada@example.com>', "Lovelace, Ada", "ada@example.com"),
    (b"Lovelace, Ada <ada@example.com>", "Lovelace, Ada", "ada@example.com"),
    (b'"A \\"Q\\" B" <q@example.com>', 'A "Q" B', "q@example.com"),
    (b"ada@example.com (Ada Lovelace)", "Ada Lovelace", "ada@example.com"),
    (b"Big Bug bb@bug.com", "Big Bug", "bb@bug.com"),
    (b'"=?utf-8?Q?Ad=C3=A1?=" <ada@example.com>', "Adá", "ada@example.com"),
    (b"=?utf-8?Q?Ad=C3=A1=2C_Countess?= <ada@example.com>", "Adá, Countess", "ada@example.com"),
    ("Adá <ada@example.com>".encode("latin-1"), "Adá", "ada@example.com"),
    (b"A <a@example.com>, B <b@example.com>", "A", "a@example.com"),
    (b"Pete(A chap) <pete(his account)@silly.test(his host)>", "Pete", "pete@silly.test"),
    (b"\xe2\x80\xaeevil <a@example.com>", "evil", "a@example.com"),
    (b"boss@example.com <a@b.example>", "boss@example.com", "a@b.example"),
    (b"Mikel @ Lindsaar <test@lindsaar.net>", "Mikel @ Lindsaar", "test@lindsaar.net"),
    (b"Only A Name", "Only A Name", ""),
    (b'"Shop" <>', "Shop", ""),
]


@pytest.mark.parametrize(("raw", "name", "email"), SENDERS)
def test_a_sender_is_named_as_a_reader_would(raw: bytes, name: str, email: str) -> None:
    message = read(mail(sender=raw))
    assert (message.sender.name, message.sender.email) == (name, email)


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", b"\n\n\n", b"\xff" * 100, b"no headers at all", b"From:\nSubject:\n\n", b"\r"]
)
def test_a_mail_without_sender_and_subject_says_so(raw: bytes) -> None:
    message = read(raw)
    assert (message.sender.name, message.subject) == (NO_SENDER, NO_SUBJECT)
    assert message.placeholders == {"sender", "subject"}


def test_a_missing_from_falls_back_to_the_sender_header() -> None:
    assert read(b"Sender: Bot <bot@example.com>\nSubject: x\n\n").sender.name == "Bot"


def test_a_broken_header_line_does_not_hide_the_subject_behind_it() -> None:
    raw = b"From x@y Mon Jan 1\r\nTo: a\r\n__\r\n  <b@c>\r\nFrom  : Ada <ada@example.com>\r\nSubject  : Here\r\n\r\nHi"
    message = read(raw)
    assert (message.sender.email, message.subject, message.text) == ("ada@example.com", "Here", "Hi")


def test_doubled_returns_do_not_end_the_head() -> None:
    message = read(b"From: a@b.c\r\r\nSubject: one\r\r\n\r\r\ntext")
    assert (message.subject, message.text) == ("one", "text")


def test_the_first_of_two_subjects_counts_and_line_ends_may_be_old() -> None:
    assert read(b"From: a@b.c\rSubject: one\rSubject: two\r\rtext").subject == "one"


@pytest.mark.parametrize(
    "header",
    [
        b"List-Id: <x>\r\n",
        b"List-Unsubscribe: <mailto:x>\r\n",
        b"Precedence: bulk\r\n",
        b"Auto-Submitted: auto-replied; x\r\n",
    ],
)
def test_lists_and_machines_are_bulk(header: bytes) -> None:
    assert read(mail(more=header)).bulk
    assert not read(mail(more=b"Auto-Submitted: no\r\n")).bulk


def test_own_mail_is_recognised_by_its_occurrence() -> None:
    assert read(mail(more=b"X-GDA-Occurrence: digest-42\r\n")).occurrence == "digest-42"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"Yes, nine.\n\nOn Mon, 2 Mar 2026, Bob <b@c> wrote:\n> old\n", "Yes, nine."),
        (b"Ja.\n\nAm 02.03.2026 schrieb Bob:\nalt", "Ja."),
        (b"New.\n-----Original Message-----\nFrom: x", "New."),
        (b"> quoted\nanswer\n> quoted\n", "answer"),
        (b"Text.\n-- \nBob\nBoss\n", "Text."),
        (b"> only quotes\n", "> only quotes"),
        (b"A.\nbegin 644 a.doc\nM12345\n`\nend\nB.", "A.\nB."),
    ],
)
def test_only_the_writers_own_words_are_kept(body: bytes, text: str) -> None:
    assert read(mail(body=body)).text == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (b"<p>One <b>two</b>.</p><p>Three</p>", "One two.\nThree"),
        (b"<style>p{}</style><script>x()</script><p>Seen</p>", "Seen"),
        (b"<div style='display:none'>hidden</div><p>Seen</p>", "Seen"),
        (b"<p>New</p><blockquote>Old</blockquote>", "New"),
        (b"<p>&lt;b&gt; &amp; caf&eacute;</p>", "<b> & café"),
    ],
)
def test_html_becomes_visible_text(html: bytes, text: str) -> None:
    assert read(mail(more=b"Content-Type: text/html; charset=utf-8\r\n", body=html)).text == text


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        (b"Content-Transfer-Encoding: base64", b"SGVsbG8g\nd29ybGQ=", "Hello world"),
        (b"Content-Transfer-Encoding: base64", b"SGVs!!bG8gd29ybGQ", "Hello world"),
        (b"Content-Transfer-Encoding: base64", b"SGVsbG8gd29ybGQhI", "Hello world!"),
        (b"Content-Transfer-Encoding: x-uuencode", b"See it.\nbegin 644 a.bin\n#86)C\n`\nend\n", "See it."),
        (b"Content-Transfer-Encoding: BASE64;", base64.b64encode("é".encode()), "é"),
        (b"Content-Transfer-Encoding: quoted-printable", b"a=20b=\r\nc=ZZ", "a bc=ZZ"),
        (b"Content-Transfer-Encoding: Quoted Printable", b"caf=C3=A9", "café"),
        (b"Content-Transfer-Encoding: wild", b"as it is", "as it is"),
        (b"Content-Type: text/plain; charset=nonsense", "é".encode(), "é"),
        (b"Content-Type: text/plain; charset=utf-8", b"caf\xe9", "café"),
        (b"Content-Type: text/plain; charset=us-ascii", b"caf\xe9", "café"),
        (b"Content-Type: text/plain; charset=hex", b"6869", "6869"),
        (b"Content-Type: text/plain; charset*=\"a\x00b''x\"", b"still read", "still read"),
        (b"Content-Type: text/html", b"<meta charset=iso-8859-2><p>\xb1", "ą"),
        (b"Content-Type: nonsense", b"still read", "still read"),
        (b"Content-Type: multipart/mixed", b"no boundary", "no boundary"),
        (
            b"Content-Type: multipart/mixed; boundary=b",
            b"--b\r\n\r\nfirst\r\n--bb\r\nsame part\r\n--b--",
            "first\n--bb\nsame part",
        ),
    ],
)
def test_a_badly_declared_body_is_still_read(headers: bytes, body: bytes, text: str) -> None:
    assert read(mail(more=headers + b"\r\n", body=body)).text == text


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ('filename="Übersicht.pdf"'.encode(), "Übersicht.pdf"),
        ('filename="Übersicht.pdf"'.encode("cp1252"), "Übersicht.pdf"),
        (b"filename*=utf-8''%C3%9Cbersicht.pdf", "Übersicht.pdf"),
        (b'filename="=?utf-8?q?=C3=9Cbersicht.pdf?="', "Übersicht.pdf"),
        (b"filename=C:\\My files\\a b.pdf", "a b.pdf"),
        (b"filename*=\"a\x00b''x\"", "unnamed file"),
    ],
)
def test_an_attachment_is_named_however_its_name_is_written(header: bytes, shown: str) -> None:
    more = b"Content-Type: application/pdf\r\nContent-Disposition: attachment; " + header + b"\r\n"
    message = read(mail(more=more))
    assert (message.attachments, message.problems) == ((shown,), ("no-date",))


def test_a_mail_that_is_attached_stays_closed() -> None:
    inner = rich_mail()
    made = mail(
        more=b"Content-Type: multipart/mixed; boundary=o\r\n", body=b"--o\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    message = read(made + inner + b"\r\n--o--\r\n")
    assert (message.text, message.attachments) == ("", ("attached message",))


@pytest.mark.parametrize(
    "more",
    [
        b"Content-Type: multipart/mixed; boundary*=\"a\x00b''x\"\r\n",
        b"Content-Type: multipart/mixed; boundary*=\"a\x00b''x\"\r\nContent-Transfer-Encoding: quoted-printable\r\n",
    ],
)
def test_parts_that_cannot_be_told_apart_cost_the_text_only(more: bytes) -> None:
    message = read(mail(more=more))
    assert (message.subject, message.text, message.problems[0]) == ("Hello", "", "bad-structure")
    assert not any(problem.startswith("unreadable") for problem in message.problems)


def test_a_date_far_ahead_or_before_mail_is_not_believed() -> None:
    assert read(mail(more=b"Date: Mon, 1 Jan 2035 00:00:00 +0000\r\n")).problems == ("bad-date",)
    assert read(mail(more=b"Date: Mon, 1 Jan 1900 00:00:00 +0000\r\n")).sent_at is None
    near = NOW + timedelta(hours=30)
    assert read(mail(more=f"Date: {near:%a, %d %b %Y %H:%M:%S} -0000\r\n".encode())).sent_at == near
