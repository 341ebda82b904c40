"""What the chat and the push sink took, in order."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message written to ``/chat/<room>``."""

    room: str
    title: str
    message: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class PushMessage:
    """One message pushed to ``/push/<browser>``: its body as it came, which only the browser can read."""

    browser: str
    headers: Mapping[str, str]
    body: bytes
    time_ms: int


@dataclass(slots=True)
class Notices:
    """All of them; ``gone`` are browsers that have withdrawn their subscriptions."""

    chat: list[ChatMessage] = field(default_factory=list)
    push: list[PushMessage] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """Return what ``/_sandbox/notices`` shows."""
        return {
            "chat": [
                {"room": one.room, "title": one.title, "message": one.message, "time_ms": one.time_ms}
                for one in self.chat
            ],
            "push": [
                {
                    "browser": one.browser,
                    "ttl": one.headers.get("ttl", ""),
                    "body": urlsafe_b64encode(one.body).decode(),
                    "time_ms": one.time_ms,
                }
                for one in self.push
            ],
        }
