"""The parts of a mail: the text worth reading and the names of what is attached."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import InvalidBase64LengthDefect

from .charsets import decode, guess
from .headers import decode_words, one_line
from .structure import Part
from .text import cut_uuencoded, html_to_text, own_words

MAX_ATTACHMENTS = 50
FILENAME_LIMIT = 120
# Enough for 8,000 characters of text, however much markup and style stands around them.
PLAIN_LIMIT = 48_000
HTML_LIMIT = 192_000

_PLAIN = ("text/plain", "text/enriched")
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_ENCODINGS = ("", "7bit", "8bit", "binary", "quoted-printable", "base64")
_UUENCODED = ("x-uuencode", "uuencode", "uue", "x-uue")
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)


@dataclass(slots=True)
class Body:
    """What a mail holds; ``text`` is ready to read, ``problems`` are short codes."""

    text: str = ""
    attachments: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_body(root: Part) -> Body:
    """The text and the attachments of a mail taken apart."""
    body = Body()
    plain: list[Part] = []
    html: list[Part] = []
    for part in _leaves(root):
        kind = part.get_content_type()
        attached = part.get_content_disposition() == "attachment"
        if part.get_content_maintype() == "multipart":
            body.problems.append("no-parts")
            plain.append(part)
        elif kind in _PLAIN and not attached:
            plain.append(part)
        elif kind == "text/html" and not attached:
            html.append(part)
        else:
            _attachment(body, part, kind, attached)
    body.text = _text(body, plain, html)
    return body


def charset_of(part: Part) -> str:
    """The charset a part declares, or nothing."""
    try:
        return part.get_content_charset("")
    except ValueError:  # A null byte in the name of a charset, which the library looks up.
        return ""


def _leaves(root: Part) -> Iterator[Part]:
    """Parts without parts; unlike ``walk()`` it does not read on in mail that is attached."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        inside = part.get_payload() if part.is_multipart() and part.get_content_maintype() == "multipart" else None
        if isinstance(inside, list):
            waiting.extend(child for child in reversed(inside) if isinstance(child, Part))
        else:
            yield part


def _attachment(body: Body, part: Part, kind: str, attached: bool) -> None:
    if kind in _SIGNATURES or (kind.startswith("image/") and not attached and part.depth > 0):
        return  # Logos and tracking pictures of the layout, not something a person attached.
    name = _filename(part) or ("attached message" if kind == "message/rfc822" else "")
    if (name or attached) and len(body.attachments) < MAX_ATTACHMENTS:
        body.attachments.append(name or "unnamed file")


def _filename(part: Part) -> str:
    try:
        name = part.get_filename("")
        if not name.isascii():
            name = guess(name.encode("utf-8", "surrogateescape"))
    except Exception:  # RFC 2231 continuations break the standard library in several ways.
        return ""
    return one_line(decode_words(name).replace("\\", "/").rpartition("/")[2], FILENAME_LIMIT)


def _text(body: Body, plain: list[Part], html: list[Part]) -> str:
    for part in plain:
        text, names = cut_uuencoded(_decoded(body, part, PLAIN_LIMIT))
        body.attachments += [one_line(name, FILENAME_LIMIT) for name in names]
        if words := own_words(text):
            return words
    for part in html:
        if words := own_words(html_to_text(_decoded(body, part, HTML_LIMIT))):
            return words
    return ""


def _decoded(body: Body, part: Part, limit: int) -> str:
    data = _payload(body, part)
    charset = charset_of(part)
    if not charset and part.get_content_type() == "text/html" and (meta := _META.search(data[:4096])):
        charset = meta[1].decode("ascii")
    text, problem = decode(data, charset)
    if problem:
        body.problems.append(problem)
    return text[:limit]


def _payload(body: Body, part: Part) -> bytes:
    if not part.written:
        return b""  # Nothing there, or the parser stopped at a limit before it.
    encoding = str(part.get("content-transfer-encoding", ""))
    if encoding in _UUENCODED and "begin " in part.written:
        return part.written.encode(
            "ascii", "surrogateescape"
        )  # The library would keep the file and drop the text around it.
    if encoding not in _ENCODINGS and encoding not in _UUENCODED:
        body.problems.append("bad-transfer-encoding")
    data = part.get_payload(decode=True)
    if any(isinstance(defect, InvalidBase64LengthDefect) for defect in part.defects):
        part.set_payload(part.written.rstrip()[:-1])  # One sign too many, and the library hands out the base64 itself.
        data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""
