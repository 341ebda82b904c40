"""Who a mail is from, as a person reading the header would say."""

import re
from email import policy
from email.utils import getaddresses

from .headers import decode_words, one_line
from .message import Address

NAME_LIMIT = 200
VALUE_LIMIT = 1_000  # The parsers below are quadratic in bad cases.
EMAIL_LIMIT = 320  # 64 of the local part, the at sign, 255 of the domain: RFC 5321, 4.5.3.1.

_ANGLED = re.compile(r'(?:"((?:[^"\\]|\\.)*+)"|([^"<>()@:;\\]*+))\s*<\s*([^<>\s@()",;]+@[^<>\s@()",;]+)\s*>')
_BARE = re.compile(r"[^<>\s@()\",;:]+@[^<>\s@()\",;:]+")
_ANY = re.compile(r"[^<>\s@()\",;:\[\]]+@[^<>\s@()\",;:\[\]]+")


def parse_address(value: str) -> Address | None:
    """The first address of an unfolded From-like header, or None where it names nobody.

    Two common shapes are read directly. Comments, groups and lists go through ``email.policy.default``, which knows the
    whole of RFC 5322, and what that refuses is searched for anything like an address.
    """
    value = value[:VALUE_LIMIT]
    if angled := _ANGLED.fullmatch(value):
        quoted, plain, email = angled.groups()
        return _address(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain, email)
    if _BARE.fullmatch(value):
        return _address("", value)
    return (_structured(value) if "<" in value or "," in value else None) or _loose(value)


def addresses_in(value: str) -> frozenset[str]:
    """Lower-case addresses anywhere in a To-like header."""
    return frozenset(found.lower() for found in _ANY.findall(value)[:100]) if "@" in value else frozenset()


def _structured(value: str) -> Address | None:
    try:
        first = policy.default.header_factory("from", value).addresses[0]
        if first.username and first.domain:
            return _address(first.display_name, f"{first.username}@{first.domain}")
    except Exception:  # The parser of the standard library breaks in many ways on broken mail.
        pass
    try:
        name, email = getaddresses([value])[0]
    except Exception:
        return None
    return _address(name, email) if "@" in email else None


def _loose(value: str) -> Address | None:
    email = _ANY.search(value)
    rest = value if email is None else value[: email.start()] + " " + value[email.end() :]
    name = re.sub(r'[<>()"\s]+', " ", decode_words(rest)).strip(" ,;")
    return _address(name, email[0] if email else "")


def _address(name: str, email: str) -> Address | None:
    shown = one_line(decode_words(name).strip(" '\""), NAME_LIMIT)
    email = one_line(email, EMAIL_LIMIT)
    return Address(shown, email) if shown or email else None
