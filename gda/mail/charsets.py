"""Bytes to text for mail: honour the declared charset where it works, guess where it does not, never fail."""

import codecs
import re
from functools import lru_cache

# What senders declare is often a subset of what they write; the wider charset reads both. Source: WHATWG Encoding
# Standard, section 4.2 (labels), which is what browsers and web mail do.
_WIDER = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}
_NAMED = {
    "ks_c_5601-1987": "cp949",
    "x-sjis": "cp932",
    "cp-850": "cp850",
    "x-gbk": "gb18030",
    "unicode-1-1-utf-7": "utf-7",
}
# Text codecs of Python that are no charsets of mail; punycode is also quadratic.
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")


@lru_cache(maxsize=256)
def codec_for(declared: str) -> str | None:
    """The Python codec for a declared charset (``charset*language`` allowed), or None where there is none."""
    name = declared.partition("*")[0].strip(" \t\"'").lower()
    if not _NAME.fullmatch(name):
        return None
    name = _NAMED.get(name, name)
    try:
        found = codecs.lookup(name).name
        b"".decode(found)
    except Exception:
        return None
    if found.replace("-", "_") in _REFUSED:
        return None
    return _WIDER.get(found, found)


def guess(data: bytes, hint: str = "") -> str:
    """Text of undeclared bytes: UTF-8, else ``hint`` (the body's charset), else windows-1252, else latin-1."""
    for codec in ("utf-8", codec_for(hint) if hint else None, "cp1252"):
        if codec is None:
            continue
        try:
            return data.decode(codec)
        except ValueError:
            continue
    return data.decode("latin-1")


def decode(data: bytes, declared: str) -> tuple[str, str]:
    """Text of ``data`` and a problem code (``unknown-charset``, ``bad-charset`` or nothing)."""
    if data.isascii() and b"\x1b" not in data and not declared.lower().startswith(("utf-", "utf_")):
        return data.decode("ascii"), ""
    codec = codec_for(declared) if declared else None
    if codec is None:
        return guess(data), "unknown-charset" if declared else ""
    try:
        return data.decode(codec), ""
    except ValueError:
        return _decode_broken(data, codec), "bad-charset"


def _decode_broken(data: bytes, codec: str) -> str:
    if codec != "utf-8":
        try:
            return data.decode("utf-8")
        except ValueError:
            pass
    try:
        text = data.decode(codec, "replace")
    except ValueError:
        return guess(data)
    # A few broken characters are a truncated or damaged text; many mean that the declaration was wrong.
    return text if text.count("\ufffd") * 20 <= len(text) else guess(data)
