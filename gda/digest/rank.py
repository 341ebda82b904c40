"""How much a conversation needs its reader: a small sum of points, the same for the same mail on every machine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gda.mail import Message

from .words import ASKS, URGENT, holds_any

# The weights are a judgement, ordered so that no amount of recency outweighs a person waiting for an answer. A personal
# mail that answers or asks you alone reaches NEEDS_YOU; a newsletter never does.
PERSONAL: Final = 30
ANSWERS: Final = 20
ONLY_TO_YOU: Final = 15
IS_URGENT: Final = 20
ASKS_YOU: Final = 15
STARRED: Final = 20
MARKED_IMPORTANT: Final = 10
PER_PERSON: Final = 4
PEOPLE_AT_MOST: Final = 12
RECENT_AT_MOST: Final = 9
NEEDS_YOU: Final = 60

# What a mail wants of its reader stands at its start or its end, and reading all of a long one is what ranking costs.
_OPENING = 400
_CLOSING = 200


def score(messages: Sequence[Message], *, email: str, since: datetime, until: datetime) -> int:
    """Points of one thread (its messages in the window) for the reader with address ``email``; higher is read first.

    Bulk mail earns nothing but recency, so that shouting newsletters stay where they belong.
    """
    newest = max(message.received_at for message in messages)
    points = _recency(newest, since, until)
    people = [message for message in messages if not message.bulk]
    if not people:
        return points
    points += PERSONAL + ANSWERS * any(message.reply for message in people)
    points += ONLY_TO_YOU * any(message.to == {email.lower()} for message in people)
    labels = frozenset().union(*(message.labels for message in people))
    points += STARRED * ("STARRED" in labels) + MARKED_IMPORTANT * ("IMPORTANT" in labels)
    parts = [_telling_part(message) for message in people[:5]]
    points += IS_URGENT * any(map(_is_urgent, parts)) + ASKS_YOU * any(map(_asks, parts))
    others = len({message.sender.email.lower() for message in people}) - 1
    return points + min(PER_PERSON * others, PEOPLE_AT_MOST)


def _telling_part(message: Message) -> str:
    """Subject, opening and closing as one line in lower case."""
    text = message.text
    if len(text) > _OPENING + _CLOSING:
        text = f"{text[:_OPENING]}\n{text[-_CLOSING:]}"
    return f"{message.subject}\n{text}".lower().replace("\n", " ")


def _is_urgent(low: str) -> bool:
    return holds_any(low, URGENT)


def _asks(low: str) -> bool:
    return low.endswith("?") or " ?" in low or "? " in low or holds_any(low, ASKS)


def _recency(newest: datetime, since: datetime, until: datetime) -> int:
    span = (until - since).total_seconds()
    share = (newest - since).total_seconds() / span if span > 0 else 1.0
    return round(RECENT_AT_MOST * min(max(share, 0.0), 1.0))
