"""One mail's bytes and what can be read off them: worked out at first need and shared by every mailbox that holds it.

Mail may be broken in any way; nothing here raises because of what a mail contains.
"""

import html
import re
import zlib
from base64 import urlsafe_b64encode
from functools import cached_property

from gda.sandbox.mime import Part, clean, decode_bytes, decode_words, parse_part, readable_text

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_REFERENCE = re.compile(r"<([^<>\s]+)>")
_REPLY_PREFIX = re.compile(r"^\s*(?:(?:re|aw|sv|fwd?|wg|antw)\s*(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_SNIPPET_CHARACTERS = 200


def header_block(raw: bytes) -> bytes:
    """Return the bytes before the first empty line, without it."""
    end = _END_OF_HEADERS.search(raw)
    return raw[: end.start()] if end else raw


def read_headers(raw: bytes) -> list[tuple[str, str]]:
    """Read the header block alone: unfolded, in order, names as written, values not yet decoded from RFC 2047 words.

    Args:
        raw: a whole mail or just its headers; lines that are no header are passed over.

    Returns:
        Pairs of name and value.
    """
    headers: list[tuple[str, bytes]] = []
    for line in header_block(raw).splitlines():
        if line[:1] in (b" ", b"\t"):
            if headers:
                headers[-1] = (headers[-1][0], headers[-1][1] + b" " + line.strip())
            continue
        name, colon, value = line.partition(b":")
        if colon and name.strip():
            headers.append((decode_bytes(name.strip()), value.strip()))
    return [(name, decode_bytes(value)) for name, value in headers]


class Content:
    """A mail's bytes with lazily computed views; treat it as immutable."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def raw_headers(self) -> list[tuple[str, str]]:
        return read_headers(self.raw)

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Headers with RFC 2047 words decoded, as Gmail's API gives them."""
        return [(name, clean(decode_words(value))) for name, value in self.raw_headers]

    @cached_property
    def _first(self) -> dict[str, str]:
        first: dict[str, str] = {}
        for name, value in self.raw_headers:
            first.setdefault(name.lower(), value)
        return first

    def header(self, name: str) -> str:
        """Return the first header of that name (any case), decoded; empty when there is none."""
        value = self._first.get(name.lower(), "")
        return clean(decode_words(value)) if value else ""

    @cached_property
    def message_id(self) -> str:
        """The Message-ID without angle brackets; empty when there is none."""
        return self.header("message-id").strip().strip("<>")

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Ids of the mails this one answers, the nearest first."""
        named = _REFERENCE.findall(self.header("references"))
        return tuple(_REFERENCE.findall(self.header("in-reply-to")) + named[::-1])

    @cached_property
    def thread_subject(self) -> str:
        """The subject without its reply prefixes, lower case; empty when the mail does not look like a reply."""
        subject = self.header("subject")
        stripped = _REPLY_PREFIX.sub("", subject)
        return stripped.strip().lower() if stripped != subject else ""

    @cached_property
    def plain_subject(self) -> str:
        return _REPLY_PREFIX.sub("", self.header("subject")).strip().lower()

    @cached_property
    def checksum(self) -> int:
        return zlib.crc32(self.raw)

    @cached_property
    def mime_type(self) -> str:
        """The top type, read off its header alone."""
        return self.header("content-type").partition(";")[0].strip().lower() or "text/plain"

    @cached_property
    def raw_json(self) -> bytes:
        """The whole mail in base64url as a JSON string."""
        return b'"' + urlsafe_b64encode(self.raw) + b'"'

    @cached_property
    def tree(self) -> Part:
        return parse_part(self.raw)

    @cached_property
    def text(self) -> str:
        """What a person would read: the plain text, or the HTML without its tags."""
        return clean(readable_text(self.tree))

    @cached_property
    def snippet(self) -> str:
        """The first words of the text, HTML-escaped as Gmail's are."""
        return html.escape(" ".join(self.text[: _SNIPPET_CHARACTERS * 4].split())[:_SNIPPET_CHARACTERS])

    @cached_property
    def has_attachment(self) -> bool:
        return any(part.filename for part in self.tree.walk())

    @cached_property
    def searchable(self) -> str:
        heads = (self.header(name) for name in ("subject", "from", "to", "cc"))
        return " ".join([*heads, self.text]).lower()
