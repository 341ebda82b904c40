"""What the mail sink accepted: every message, in order, found by recipient or by occurrence."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gda.sandbox.content import Content


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted message; ``message_id`` is as it was sent, ``delivered_message_id`` as it lies in mailboxes."""

    number: int
    time_ms: int
    sender: str
    recipients: tuple[str, ...]
    content: Content
    message_id: str
    delivered_message_id: str
    occurrence: str
    subject: str
    channel: str

    @property
    def time(self) -> datetime:
        """When it was accepted, UTC."""
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)

    def as_json(self) -> dict[str, Any]:
        """Return what ``/inbox.json`` shows of it."""
        return {
            "number": self.number,
            "time": self.time.isoformat(timespec="milliseconds"),
            "sender": self.sender,
            "recipients": self.recipients,
            "message_id": self.message_id,
            "delivered_message_id": self.delivered_message_id,
            "occurrence": self.occurrence,
            "subject": self.subject,
            "size": len(self.content.raw),
            "bytes": len(self.content.raw),
            "channel": self.channel,
        }


class AcceptedMail:
    """All accepted messages."""

    def __init__(self) -> None:
        self._all: list[Accepted] = []
        self._by_user: defaultdict[str, list[Accepted]] = defaultdict(list)
        self._by_occurrence: defaultdict[str, list[Accepted]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def next_number(self) -> int:
        return len(self._all) + 1

    def record(self, message: Accepted) -> None:
        self._all.append(message)
        for user in set(message.recipients):
            self._by_user[user].append(message)
        if message.occurrence:
            self._by_occurrence[message.occurrence].append(message)

    def get(self, number: int) -> Accepted | None:
        """Return the message with that number, counted from 1."""
        return self._all[number - 1] if 1 <= number <= len(self._all) else None

    def find(self, user: str | None = None, occurrence: str | None = None) -> list[Accepted]:
        """Return the messages for that recipient and that occurrence (None: any), oldest first."""
        if occurrence is not None:
            found = self._by_occurrence.get(occurrence, [])
            return [message for message in found if user is None or user in message.recipients]
        return self._all if user is None else self._by_user.get(user, [])

    def users(self) -> list[tuple[str, int]]:
        """Return every recipient with the number of messages, by address."""
        return sorted((user, len(messages)) for user, messages in self._by_user.items())

    def duplicates(self) -> dict[str, int]:
        """Return the occurrences that were accepted more than once, with their counts."""
        return {name: len(messages) for name, messages in self._by_occurrence.items() if len(messages) > 1}
