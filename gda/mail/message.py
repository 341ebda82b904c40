"""What the rest of GDA knows about one received mail."""

from dataclasses import dataclass
from datetime import datetime

NO_SENDER = "(unknown sender)"
NO_SUBJECT = "(no subject)"


@dataclass(frozen=True, slots=True)
class Address:
    """A person or machine that writes mail; either part may be empty, never both in a sender.

    ``name`` is one safe line (no control characters, no bidirectional overrides) and is not escaped for HTML.
    """

    name: str
    email: str

    @property
    def shown(self) -> str:
        """What to call them on a page: the name, else the address."""
        return self.name or self.email


@dataclass(frozen=True, slots=True)
class Message:
    """One mail, decoded as far as it could be; every text is safe as one line except ``text``.

    ``received_at`` is Gmail's ``internalDate`` (aware, UTC), the time to trust; ``sent_at`` is the Date header (aware,
    UTC) where it is sane. ``text`` holds the writer's own words, without quoted replies and signature. ``bulk`` means
    sent by a list or a machine. ``occurrence`` is set on mail that claims to be GDA's own. ``problems`` are short
    codes for what was broken, and ``placeholders`` says which of ``sender`` and ``subject`` the mail did not have.
    ``to`` holds the lower-case addresses of the To header and ``reply`` says that the mail answers another.
    """

    id: str
    thread_id: str
    received_at: datetime
    sender: Address
    subject: str
    sent_at: datetime | None = None
    text: str = ""
    labels: frozenset[str] = frozenset()
    bulk: bool = False
    attachments: tuple[str, ...] = ()
    message_id: str = ""
    occurrence: str = ""
    problems: tuple[str, ...] = ()
    placeholders: frozenset[str] = frozenset()
    to: frozenset[str] = frozenset()
    reply: bool = False
