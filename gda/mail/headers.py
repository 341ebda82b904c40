"""Fields of real mail: take the few that are read, unfold them, decode what people put into them."""

import re
from collections.abc import Collection
from email.errors import HeaderParseError
from email.header import decode_header

from .charsets import decode, guess
from .structure import Part

_FOLD = re.compile(r"(?<![ \t])[ \t]*[\r\n\t][ \t\r\n]*")
# Encoded words next to each other, which are decoded together: senders cut characters between words.
_WORDS = re.compile(r"=\?[^?\s]*\?[bBqQ]\?.*?\?=(?:\s*=\?[^?\s]*\?[bBqQ]\?.*?\?=)*")
_SPACE_LIKE = re.compile("[\t-\r\u0085\u2028\u2029]+")
# Controls, bidirectional overrides and marks, invisible fillers and lone surrogates. The joiners U+200C and U+200D
# stay: Persian and emoji need them.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_VISIBLE = re.compile(r"[^\s\u115f\u1160\u200c\u200d\u2800\u3164\uffa0]")


def fields(part: Part, wanted: Collection[str]) -> dict[str, bytes]:
    """The first non-blank value, still folded and encoded, of each wanted field (lower-case names)."""
    found: dict[str, bytes] = {}
    for field, value in part.items():
        name = field.lower()
        if name in wanted and not found.get(name):
            found[name] = value.strip().encode("ascii", "surrogateescape")
    return found


def unfold(value: bytes, hint: str = "") -> str:
    """A raw field value as one line of text with its encoded words untouched; 8-bit bytes are guessed."""
    if not value:
        return ""
    if b"\x1b$" in value:
        text = decode(value, "iso-2022-jp")[0]
    else:
        text = value.decode("ascii") if value.isascii() else guess(value, hint)
    return _FOLD.sub(" ", text).strip()


def decode_words(text: str) -> str:
    """RFC 2047 encoded words in ``text`` decoded, also where the standard does not allow them.

    Only the words go through the library: in text between them it takes the UTF-8 of a letter such as Å for a line
    end, and one word that cannot be read would leave all others undecoded.
    """
    return _WORDS.sub(_decoded_words, text) if "=?" in text else text


def _decoded_words(words: re.Match[str]) -> str:
    # Latin-1 characters stand for bytes, which is what the library makes of them again.
    raw = words[0].encode("utf-8", "replace").decode("latin-1")
    try:
        return "".join(_text(data, charset or "") for data, charset in decode_header(raw))
    except (HeaderParseError, ValueError):  # Base64 that cannot be, and bytes outside ASCII in it.
        return words[0]


def _text(data: bytes | str, charset: str) -> str:
    return decode(data, charset)[0] if isinstance(data, bytes) else data


def one_line(text: str, limit: int) -> str:
    """``text`` made safe to show as one line of at most ``limit`` characters; empty where nothing visible is left."""
    if not text.isprintable():
        text = _SURROGATE.sub("\ufffd", _UNSAFE.sub("", _SPACE_LIKE.sub(" ", text)))
    text = text.strip()
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text if _VISIBLE.search(text) else ""
