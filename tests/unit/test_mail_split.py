"""The short cut gives what the library gives, or leaves the mail to it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gda.mail.split import NotPlain, split_mail
from gda.mail.structure import MailPolicy, Part, parsed_by_library
from gda.sandbox.generate import MailPlan, pick_mail

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "mail"


def shape(part: Part) -> Any:
    """A part with its fields and texts, and its parts; the library keeps the boundary's newline in ``written``."""
    payload = part.get_payload()
    inner = [shape(child) for child in payload] if isinstance(payload, list) else payload
    return part.items(), part.depth, part.written.rstrip("\r\n"), inner


def cut(raw: bytes) -> Part:
    return split_mail(raw, MailPolicy(message_factory=Part), Part)


def is_cut_as_the_library_does(raw: bytes) -> bool:
    """Whether the short cut takes ``raw``; if so it gives the same."""
    try:
        found = cut(raw)
    except Exception:
        return False
    assert shape(found) == shape(parsed_by_library(raw).root)
    return True


def a_mail(*lines: str) -> bytes:
    return "\r\n".join(["From: a@example.org", *lines]).encode("utf-8", "surrogateescape")


PLAIN = a_mail("Content-Type: text/plain", "", "Hello", "")
ALTERNATIVE = a_mail(
    'Content-Type: multipart/alternative; boundary="b"',
    *("", "preamble", "--b", "Content-Type: text/plain", "", "Hello", "", "--b ", "", "no fields", "--b--", "", "tail"),
)
NESTED = a_mail(
    "Content-Type: multipart/mixed; boundary=outer",
    *("", "--outer", "Content-Type: multipart/alternative; boundary=outer2", "", "--outer2", "", "x", "--outer2--"),
    *("--outer", "Content-Type: application/pdf", "Content-Transfer-Encoding: base64", "", "AAAA", "--outer--", ""),
)


@pytest.mark.parametrize("raw", [PLAIN, ALTERNATIVE, NESTED, NESTED.replace(b"\r\n", b"\n")])
def test_ordinary_mails_are_cut(raw: bytes) -> None:
    assert is_cut_as_the_library_does(raw)


def test_the_mails_of_the_bench_are_cut() -> None:
    mails = pick_mail(MailPlan(pool=60, messages=60, min_bytes=3000, max_bytes=30000, seed=5), "ada@example.org")
    assert all(is_cut_as_the_library_does(raw) for raw in mails)


@pytest.mark.parametrize(
    "raw",
    [
        a_mail("no field", "", "text"),
        a_mail("Subject: no blank line"),
        a_mail("Content-Type: multipart/mixed", "", "no boundary"),
        NESTED.replace(b"--outer--", b""),
        NESTED.replace(b"--outer2--", b"--outer2"),
        ALTERNATIVE.replace(b"--b--", b"--b--\r\n--b"),
        a_mail("Content-Type: message/rfc822", "", "Subject: inner", "", "text"),
        a_mail("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: inner", "", "text", "--b--"),
    ],
)
def test_what_is_unlike_most_mails_is_left_to_the_library(raw: bytes) -> None:
    with pytest.raises(NotPlain):
        cut(raw)


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real mail is not beside this repository")
def test_real_mail_is_cut_as_the_library_does_or_left_to_it() -> None:
    for file in sorted(REAL.rglob("*.eml")):
        is_cut_as_the_library_does(file.read_bytes())


LINES = st.sampled_from(
    [
        *(
            b"",
            b"--b",
            b"--b--",
            b"--b ",
            b"--bb",
            b"--c",
            b"--c--",
            b"text",
            b" folded",
            b"Subject: x",
            b"\xff\xfe",
            b"\t",
        ),
        *(b"Content-Type: multipart/mixed; boundary=b", b'Content-Type: multipart/alternative; boundary="c"'),
        *(b"Content-Type: text/html; charset=utf-8", b"Content-Type: multipart/mixed; boundary=b ", b"From x"),
        *(b"Content-Transfer-Encoding: base64", b"Content-Type: message/rfc822", b"x y", b": empty"),
    ]
)


@example([b"Content-Type: text/html; charset=utf-8", b"From x", b"", b""], b"\n", False)
@given(st.lists(LINES, max_size=25), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_whatever_it_takes_it_cuts_as_the_library_does(lines: list[bytes], newline: bytes, ended: bool) -> None:
    is_cut_as_the_library_does(newline.join(lines) + (newline if ended else b""))
