"""A short cut for mails without surprises: heads are read by ``email``, bodies are cut at their boundaries at once.

The library's parser looks at every line of a body, about 2 µs each, although only boundaries matter there. A mail whose
boundaries are all where they belong is cut by one regular expression per level instead; any other is left to
the library. ``tests/unit/test_mail_split.py`` holds that both give the same parts.
"""

import re
from email.errors import MultipartInvariantViolationDefect
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import Policy
from itertools import pairwise
from typing import Any, TypeVar

_PARTS_ABSENT = MultipartInvariantViolationDefect
_NEWLINE = ord("\n")
_BLANK = re.compile(rb"\r?\n\r?\n")

P = TypeVar("P", bound="Message[Any, Any]")


class NotPlain(Exception):
    """The mail holds something that only the library's own parser can judge."""


def split_mail(raw: bytes, policy: Policy, kind: type[P]) -> P:
    """Take a mail apart.

    Args:
        raw: the mail.
        policy: makes ``kind``; says how fields are kept.
        kind: the class of its parts.

    Returns:
        The root part, with the same parts and texts as ``BytesParser(policy=policy)`` gives; preambles are left out.

    Raises:
        NotPlain: it is unlike most mails.
    """
    return _part(raw, BytesHeaderParser(policy=policy), kind)


def _part(raw: bytes, parser: BytesHeaderParser, kind: type[P], within: P | None = None) -> P:
    end = _head_end(raw)
    if b"\nFrom " in raw[:end]:
        raise NotPlain  # The library may take that line for the first of the body.
    part = parser.parsebytes(raw[:end])
    # A head alone has no parts, which Python before 3.11.4 finds wrong in a multipart one.
    if not isinstance(part, kind) or not all(isinstance(found, _PARTS_ABSENT) for found in part.defects):
        raise NotPlain
    part.defects.clear()
    if within is not None:
        within.attach(part)
    family = part.get_content_maintype()
    if family == "message" or part.get_content_type() == "multipart/digest":
        raise NotPlain
    if family != "multipart":
        part.set_payload(raw[end:].decode("ascii", "surrogateescape"))
        return part
    part.set_payload([])
    for piece in _pieces(raw[end:], part.get_boundary() or ""):
        _part(piece, parser, kind, within=part)
    return part


def _head_end(raw: bytes) -> int:
    # A part without fields begins with its blank line.
    for newline in (b"\n", b"\r\n"):
        if raw.startswith(newline):
            return len(newline)
    blank = _BLANK.search(raw)
    if blank is None:
        raise NotPlain
    return blank.end()


def _pieces(body: bytes, boundary: str) -> list[bytes]:
    """What lies between the boundary's lines; the newline before each belongs to it."""
    if not boundary.isascii() or not boundary:
        raise NotPlain
    mark = re.compile(re.escape(b"--" + boundary.encode("ascii")) + rb"(--)?[ \t]*(?:(\r?\n)|\Z)")
    lines = [found for found in mark.finditer(body) if found.start() == 0 or body[found.start() - 1] == _NEWLINE]
    if len(lines) < 2 or [bool(line[1]) for line in lines] != [False] * (len(lines) - 1) + [True]:
        raise NotPlain
    return [_without_newline(body[first.end() : second.start()]) for first, second in pairwise(lines)]


def _without_newline(piece: bytes) -> bytes:
    return piece[:-2] if piece.endswith(b"\r\n") else piece[:-1]
