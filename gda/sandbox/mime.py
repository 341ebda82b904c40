"""Reading MIME without ever raising: a mail may be broken on purpose, and a test server must show it all the same."""

import email
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message as ParsedMessage
from email.policy import compat32

_TAGS = re.compile(r"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Part:
    """One node of a mail's tree; ``data`` has its transfer encoding removed and keeps its own charset."""

    part_id: str
    mime_type: str
    filename: str
    headers: tuple[tuple[str, str], ...]
    data: bytes
    charset: str
    parts: tuple["Part", ...] = field(default=())

    def walk(self) -> Iterator["Part"]:
        """Yield this part and all below it, in reading order."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def text(self) -> str:
        return decode_bytes(self.data, self.charset)


def clean(text: str) -> str:
    """Return the text without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def decode_bytes(data: bytes, charset: str = "utf-8") -> str:
    """Decode by the charset said, else UTF-8, else Latin-1, which accepts anything."""
    for name in (charset, "utf-8"):
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")


def decode_words(value: str) -> str:
    """Decode RFC 2047 words (``=?utf-8?q?...?=``) where they are well formed; leave the rest as it stands."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(
        piece if isinstance(piece, str) else decode_bytes(piece, charset or "utf-8") for piece, charset in pieces
    )


def parse_part(raw: bytes) -> Part:
    """Parse a whole mail into its tree; a mail that defeats the parser becomes one plain text part."""
    try:
        return _part(email.message_from_bytes(raw, policy=compat32), "", 0)
    except Exception:  # Whatever a broken mail does to the parser, it must stay listable.
        return Part("", "text/plain", "", (), raw, "utf-8")


def readable_text(tree: Part) -> str:
    """Return the first plain text part, else the first HTML part without tags, else nothing."""
    texts = {part.mime_type: part for part in reversed(list(tree.walk())) if not part.filename}
    if "text/plain" in texts and texts["text/plain"].data.strip():
        return texts["text/plain"].text
    if "text/html" in texts:
        return html.unescape(_TAGS.sub(" ", texts["text/html"].text))
    return ""


def first_html(tree: Part) -> str:
    """Return the first HTML part's text, or nothing."""
    return next((part.text for part in tree.walk() if part.mime_type == "text/html" and not part.filename), "")


def _part(message: "ParsedMessage[str, str]", part_id: str, depth: int) -> Part:
    children: tuple[Part, ...] = ()
    if message.is_multipart() and depth < _MAX_DEPTH:
        below = [child for child in message.get_payload() if isinstance(child, ParsedMessage)]
        prefix = f"{part_id}." if part_id else ""
        children = tuple(_part(child, f"{prefix}{number}", depth + 1) for number, child in enumerate(below))
    return Part(
        part_id=part_id,
        mime_type=message.get_content_type(),
        filename=_filename(message),
        headers=tuple((clean(name), clean(decode_words(str(value)))) for name, value in message.items()),
        data=b"" if message.is_multipart() else _data(message),
        charset=_charset(message),
        parts=children,
    )


def _filename(message: "ParsedMessage[str, str]") -> str:
    try:
        return clean(decode_words(message.get_filename() or ""))
    except Exception:  # RFC 2231 names with impossible charsets raise whatever their decoder raises.
        return "attachment"


def _charset(message: "ParsedMessage[str, str]") -> str:
    try:
        return message.get_content_charset() or "utf-8"
    except Exception:  # As above.
        return "utf-8"


def _data(message: "ParsedMessage[str, str]") -> bytes:
    try:
        payload = message.get_payload(decode=True)
    except Exception:  # Unknown or lying transfer encodings.
        payload = None
    if isinstance(payload, bytes):
        return payload
    return str(message.get_payload()).encode("utf-8", "replace")
