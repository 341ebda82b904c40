"""A Gmail-like mailbox in memory: messages in time order, threads, labels, and a history that only grows."""

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from gda.sandbox.content import Content

FIRST_HISTORY_ID = 1000
LOADED_SPREAD_MS = 20 * 3600 * 1000
INBOX_UNREAD = ("INBOX", "UNREAD")


@dataclass(frozen=True, slots=True)
class Message:
    """One message in one mailbox; times in epoch milliseconds, ``delivered_ms`` 0 for mail that was loaded."""

    id: str
    thread_id: str
    content: Content
    labels: tuple[str, ...]
    internal_ms: int
    delivered_ms: int
    history_id: int


def position(message: Message) -> tuple[int, int]:
    """Return what messages are ordered by: time, then order of arrival."""
    return message.internal_ms, message.history_id


class Mailbox:
    """All messages of one account."""

    def __init__(self, email: str) -> None:
        self.email = email
        self._messages: dict[str, Message] = {}
        self._in_time_order: list[Message] = []
        self._as_added: list[Message] = []
        self._by_message_id: dict[str, list[Message]] = {}
        self._threads_by_subject: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def history_id(self) -> int:
        return FIRST_HISTORY_ID + len(self._as_added)

    @property
    def thread_count(self) -> int:
        return len({message.thread_id for message in self._as_added})

    def add(
        self, content: Content, *, internal_ms: int, delivered_ms: int = 0, labels: Sequence[str] = INBOX_UNREAD
    ) -> Message:
        """Add one message.

        Args:
            content: its bytes.
            internal_ms: Gmail's ``internalDate``, milliseconds since the epoch.
            delivered_ms: when it was delivered, for the index delay; 0 for mail that was there from the start.
            labels: Gmail label ids.

        Returns:
            The message with its id, which depends on the mailbox, the place in it and the content alone.
        """
        history_id = self.history_id + 1
        name = f"{self.email}\0{history_id}\0{content.checksum}"
        message_id = blake2b(name.encode(), digest_size=8).hexdigest()
        thread_id = self._thread_for(content) or message_id
        message = Message(message_id, thread_id, content, tuple(labels), internal_ms, delivered_ms, history_id)
        self._messages[message_id] = message
        self._as_added.append(message)
        insort(self._in_time_order, message, key=position)
        if content.message_id:
            self._by_message_id.setdefault(content.message_id.lower(), []).append(message)
        self._threads_by_subject.setdefault(content.plain_subject, thread_id)
        return message

    def load(self, contents: Sequence[tuple[Content, Sequence[str]]], loaded_ms: int) -> None:
        """Add mail that was there from the start, oldest first, spread over the 20 hours before ``loaded_ms``."""
        step = LOADED_SPREAD_MS // (len(contents) + 1)
        for behind, (content, labels) in zip(range(len(contents), 0, -1), contents, strict=True):
            self.add(content, internal_ms=loaded_ms - behind * step, labels=labels)

    def get(self, message_id: str) -> Message | None:
        return self._messages.get(message_id)

    def newest_first(self, before: tuple[int, int] | None = None) -> Iterator[Message]:
        """Yield messages from the newest to the oldest, those strictly older than ``before`` where given."""
        end = len(self._in_time_order)
        if before is not None:
            end = bisect_right(self._in_time_order, (before[0], before[1] - 1), key=position)
        for index in range(end - 1, -1, -1):
            yield self._in_time_order[index]

    def with_message_id(self, message_id: str) -> list[Message]:
        """Return the messages whose Message-ID header is this one (no brackets, any case), newest first."""
        found = self._by_message_id.get(message_id.lower(), [])
        return sorted(found, key=position, reverse=True)

    def added_since(self, history_id: int) -> list[Message] | None:
        """Return messages added after that history id, oldest first; None when the id is not of this history."""
        if not FIRST_HISTORY_ID <= history_id <= self.history_id:
            return None
        return self._as_added[history_id - FIRST_HISTORY_ID :]

    def _thread_for(self, content: Content) -> str | None:
        for reference in content.references:
            known = self._by_message_id.get(reference.lower())
            if known:
                return known[0].thread_id
        if content.thread_subject:
            return self._threads_by_subject.get(content.thread_subject)
        return None
