"""How much a conversation needs its reader: a small sum of points, the same for the same mail on every machine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gda.mail import Message

from .words import ASKS, URGENT

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

_READ = 1_500


def is_urgent(text: str) -> bool:
    """Whether the text uses a word of haste (English, German, French, Spanish, Italian, Czech, Russian, CJK)."""
    low = text.lower().replace("\n", " ")
    return any(word in low for word in URGENT)


def asks_for_something(text: str) -> bool:
    """Whether the text asks a question or asks somebody to act."""
    low = text.lower()
    if low.endswith("?") or "?\n" in low or " ?" in low or "? " in low:
        return True
    low = low.replace("\n", " ")
    return any(word in low for word in ASKS)


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
    heads = [f"{message.subject}\n{message.text[:_READ]}" for message in people[:5]]
    points += IS_URGENT * any(map(is_urgent, heads)) + ASKS_YOU * any(map(asks_for_something, heads))
    others = len({message.sender.email.lower() for message in people}) - 1
    return points + min(PER_PERSON * others, PEOPLE_AT_MOST)


def _recency(newest: datetime, since: datetime, until: datetime) -> int:
    span = (until - since).total_seconds()
    share = (newest - since).total_seconds() / span if span > 0 else 1.0
    return round(RECENT_AT_MOST * min(max(share, 0.0), 1.0))
