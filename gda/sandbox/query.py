"""The part of Gmail's search language that GDA uses, read into terms and matched against messages.

Known: ``after: before: newer_than: older_than: from: to: subject: rfc822msgid: in: label: is: has:``, words, quotes and
``-``. Anything else counts as words. A date means midnight in Pacific time, as the Gmail API guide says of searches
(developers.google.com/gmail/api/guides/filtering); seconds since the epoch are exact, ``after`` including its instant
and ``before`` excluding it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gda.sandbox.mailbox import Message

_TOKEN = re.compile(r'(?P<minus>-?)(?:(?P<field>[A-Za-z0-9_]+):)?(?P<value>"[^"]*"|\S+)')
_DATE = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})")
_AGE = re.compile(r"(\d+)([hdmy])")
_AGE_MS = {"h": 3_600_000, "d": 86_400_000, "m": 30 * 86_400_000, "y": 365 * 86_400_000}
_HIDDEN = ("SPAM", "TRASH")
_ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: ``number`` is an instant or an age in milliseconds for the fields that mean time."""

    field: str
    value: str
    negated: bool = False
    number: int = 0


def parse_query(text: str) -> tuple[Term, ...]:
    """Read a search text into terms that must all hold; never raises."""
    return tuple(_term(match) for match in _TOKEN.finditer(text))


def matches(message: Message, terms: tuple[Term, ...], now_ms: int) -> bool:
    """Tell whether every term holds for the message at ``now_ms`` (milliseconds since the epoch)."""
    return all(_TESTS[term.field](message, term, now_ms) != term.negated for term in terms)


def shows_hidden(terms: tuple[Term, ...]) -> bool:
    """Tell whether the search itself asks for spam or the bin, which are otherwise left out."""
    return any(
        term.field in ("in", "label") and not term.negated and term.value in ("spam", "trash", _ANYWHERE)
        for term in terms
    )


def is_hidden(message: Message) -> bool:
    """Tell whether the message lies in spam or the bin."""
    return any(label in _HIDDEN for label in message.labels)


def only_message_id(terms: tuple[Term, ...]) -> str | None:
    """Return the Message-ID that every match must have, so that an index can answer; None when there is none."""
    return next((term.value for term in terms if term.field == "rfc822msgid" and not term.negated), None)


def _term(match: re.Match[str]) -> Term:
    negated = bool(match["minus"])
    field, value = (match["field"] or "").lower(), match["value"].strip('"')
    if field in ("after", "before"):
        instant = _instant(value)
        if instant is not None:
            return Term(field, value, negated, instant)
    elif field in ("newer_than", "older_than"):
        age = _AGE.fullmatch(value.lower())
        if age:
            return Term(field, value, negated, int(age[1]) * _AGE_MS[age[2]])
    elif field == "rfc822msgid":
        return Term(field, value.strip("<>").lower(), negated)
    elif field in _TESTS and field != "word":
        return Term(field, value.lower(), negated)
    word = f"{match['field']}:{value}" if match["field"] else value
    return Term("word", word.lower(), negated)


def _instant(value: str) -> int | None:
    if value.isascii() and value.isdigit() and len(value) <= 13:
        return int(value) * 1000
    date = _DATE.fullmatch(value)
    if date is None:
        return None
    try:
        midnight = datetime(int(date[1]), int(date[2]), int(date[3]), tzinfo=ZoneInfo("America/Los_Angeles"))
    except ValueError:
        return None
    return int(midnight.timestamp() * 1000)


def _has_label(message: Message, term: Term, now_ms: int) -> bool:
    return term.value == _ANYWHERE or term.value.upper() in message.labels


def _is(message: Message, term: Term, now_ms: int) -> bool:
    if term.value == "read":
        return "UNREAD" not in message.labels
    return term.value.upper() in message.labels


def _to(message: Message, term: Term, now_ms: int) -> bool:
    return any(term.value in message.content.header(name).lower() for name in ("to", "cc", "bcc"))


_TESTS: dict[str, Callable[[Message, Term, int], bool]] = {
    "after": lambda message, term, now_ms: message.internal_ms >= term.number,
    "before": lambda message, term, now_ms: message.internal_ms < term.number,
    "newer_than": lambda message, term, now_ms: message.internal_ms >= now_ms - term.number,
    "older_than": lambda message, term, now_ms: message.internal_ms < now_ms - term.number,
    "from": lambda message, term, now_ms: term.value in message.content.header("from").lower(),
    "to": _to,
    "subject": lambda message, term, now_ms: term.value in message.content.header("subject").lower(),
    "rfc822msgid": lambda message, term, now_ms: message.content.message_id.lower() == term.value,
    "in": _has_label,
    "label": _has_label,
    "is": _is,
    "has": lambda message, term, now_ms: term.value == "attachment" and message.content.has_attachment,
    "word": lambda message, term, now_ms: term.value in message.content.searchable,
}
