"""Which mail a digest is about: everything new since the schedule's last confirmed digest, each message once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gda.digest import Window
from gda.errors import Gone
from gda.google.gmail import Gmail
from gda.google.messages import Unfetched
from gda.mail import Message, parse_message
from gda.settings import Settings
from gda.store import MailCursor


@dataclass(frozen=True, slots=True)
class Found:
    """A window as the first attempt fixed it, and where the schedule's cursor goes once it is delivered.

    ``hidden`` counts new messages beyond the most that one digest lists.
    """

    window: Window
    hidden: int
    cursor: MailCursor

    def to_json(self) -> dict[str, Any]:
        """A plain dict for the effect journal: ids and instants only."""
        return {**self.window.to_json(), "hidden": self.hidden, "recent_ids": list(self.cursor.recent_ids)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Found":
        """What ``to_json`` wrote."""
        window = Window.from_json(content)
        return cls(window, content["hidden"], MailCursor(window.until, tuple(content["recent_ids"])))


async def gather(
    gmail: Gmail, cursor: MailCursor | None, *, due_at: datetime, now: datetime, sender: str, settings: Settings
) -> tuple[Found, list[Message]]:
    """List and read what is new.

    Gmail's index may show a message late, so the search begins an overlap before the cursor and leaves out what the
    digests of that overlap have listed: nothing is lost and nothing comes twice.

    Args:
        gmail: the user's mailbox.
        cursor: how far the schedule's digests have come; None before the first.
        due_at: when the occurrence was due (aware); the first window begins a setting's hours before it.
        now: the store's instant (aware), the window's end.
        sender: GDA's own address, whose mail is never digested.
        settings: lengths of the first window and of the overlap, most messages listed.

    Returns:
        The window with the cursor that follows it, and its messages, oldest first.

    Raises:
        ProviderError: the mailbox could not be read.
    """
    overlap = timedelta(minutes=settings.digest_overlap_minutes)
    known = frozenset(cursor.recent_ids) if cursor else frozenset[str]()
    since = cursor.up_to - overlap if cursor else due_at - timedelta(hours=settings.digest_first_window_hours)
    listed = await gmail.list_ids(f"in:inbox after:{int(since.timestamp())} -from:{sender}")
    new = [ref.id for ref in listed if ref.id not in known]
    kept, hidden = new[: settings.digest_max_messages], new[settings.digest_max_messages :]
    read = await read_messages(gmail, tuple(reversed(kept)))
    messages = [message for message in read if not message.occurrence]
    # What the next search can list again: recent mail of this window, and what this search listed unread.
    recent = {message.id for message in messages if message.received_at >= now - overlap}
    recent |= set(hidden) | {ref.id for ref in listed if ref.id in known}
    window = Window(cursor.up_to if cursor else since, now, tuple(message.id for message in messages))
    return Found(window, len(hidden), MailCursor(now, tuple(sorted(recent)))), messages


async def read_messages(gmail: Gmail, ids: Sequence[str]) -> list[Message]:
    """Fetch and parse messages in the order of ``ids``, one raw mail at a time; those deleted meanwhile are left out.

    Raises:
        ProviderError: a message could not be fetched for another reason.
    """
    messages: list[Message] = []
    async for fetched in gmail.get_raw(ids):
        if isinstance(fetched, Unfetched):
            if isinstance(fetched.error, Gone):
                continue
            raise fetched.error
        messages.append(
            parse_message(
                fetched.raw,
                id=fetched.id,
                thread_id=fetched.thread_id,
                received_at=fetched.received_at,
                labels=frozenset(fetched.labels),
            )
        )
    return messages
