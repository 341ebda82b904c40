"""Everything one sandbox knows: accounts, accepted mail, faults and counts, and how mail is delivered into it."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from gda.errors import UsageError
from gda.sandbox.accepted import Accepted, AcceptedMail
from gda.sandbox.accounts import Account, Accounts
from gda.sandbox.agenda import SandboxCalendar
from gda.sandbox.content import Content, header_block
from gda.sandbox.faults import Switchboard
from gda.sandbox.generate import MailPlan, pick_mail
from gda.sandbox.ics import read_calendar
from gda.sandbox.journal import Journal
from gda.sandbox.mailbox import INBOX_UNREAD, Message
from gda.sandbox.notices import Notices
from gda.sandbox.sources import CALENDAR_SUFFIX, SAMPLES, SourceMail, read_calendars, read_mail, read_samples

_MESSAGE_ID_LINE = re.compile(rb"^message-id:[^\n]*(?:\n[ \t][^\n]*)*\n?", re.IGNORECASE | re.MULTILINE)


class Sandbox:
    """The state of one sandbox; every method is synchronous and belongs to the event loop's thread.

    Args:
        client_id: the OAuth client that ``/token`` accepts.
        client_secret: its secret.
        data: folder in which accounts and mail outlive a restart; None: memory only.
        clock: seconds since the epoch; tests pass their own.
    """

    def __init__(
        self,
        *,
        client_id: str = "gda-sandbox",
        client_secret: str = "sandbox-secret",
        data: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.accounts = Accounts()
        self.accepted = AcceptedMail()
        self.notices = Notices()
        self.faults = Switchboard()
        self.requests: Counter[str] = Counter()
        self.refreshes: Counter[str] = Counter()
        self._clock = clock
        self._contents: dict[bytes, Content] = {}
        self._samples: dict[str, list[SourceMail]] = {}
        self._journal = Journal(data) if data else None
        if self._journal:
            self._journal.replay(self)

    @property
    def now_ms(self) -> int:
        """The sandbox's time in milliseconds since the epoch."""
        return int(self._clock() * 1000)

    def close(self) -> None:
        """Close the journal; the sandbox takes no more mail."""
        if self._journal:
            self._journal.close()

    def open_account(
        self,
        email: str,
        *,
        mail: str | None = None,
        samples: str | None = None,
        generate: MailPlan | None = None,
        refresh_token: str | None = None,
        loaded_ms: int | None = None,
    ) -> Account:
        """Open an account and load its first mail; one that exists already is returned untouched.

        Args:
            email: its address.
            mail: a folder of ``.eml`` and ``.ics`` files, a Maildir, an mbox file or a calendar file.
            samples: a sample set's name (``empty``: no mail).
            generate: made-up mail.
            refresh_token: to be used again after a restart; None: draw one.
            loaded_ms: when the mail was loaded, epoch milliseconds; None: now.

        Raises:
            UsageError: the address, the path or the set is wrong; nothing was opened.
        """
        known = self.accounts.by_email(email)
        if known:
            return known
        if email.count("@") != 1 or not all(email.strip().split("@")):
            raise UsageError(f"{email!r} is no mail address; write it as name@example.org")
        first = self._first_mail(email.strip().lower(), mail, samples, generate)
        loaded_ms = self.now_ms if loaded_ms is None else loaded_ms
        calendars = first_calendars(email.strip().lower(), mail, samples, at(loaded_ms))
        account = self.accounts.add(email, refresh_token)
        account.calendars |= calendars
        labels = [INBOX_UNREAD if each.unread else ("INBOX",) for each in first]
        account.mailbox.load(
            [(self._shared(each.raw), label) for each, label in zip(first, labels, strict=True)], loaded_ms
        )
        if self._journal:
            self._journal.account(account, loaded_ms, mail=mail, samples=samples, generate=generate)
        return account

    def add_message(self, account: Account, raw: bytes, *, time_ms: int | None = None) -> Message:
        """Put one message into the mailbox, as if it came from the outside at ``time_ms`` (None: now)."""
        time_ms = self.now_ms if time_ms is None else time_ms
        if self._journal:
            self._journal.added(account.email, raw, time_ms)
        return account.mailbox.add(Content(raw), internal_ms=time_ms, delivered_ms=time_ms)

    def accept(
        self,
        raw: bytes,
        *,
        sender: str,
        recipients: Iterable[str],
        channel: str,
        delivered_message_id: str | None = None,
        time_ms: int | None = None,
        sent_by: Account | None = None,
    ) -> tuple[Accepted, Message | None]:
        """Record a message as accepted and deliver it into the recipients' sandbox mailboxes.

        Args:
            raw: its bytes as sent.
            sender: envelope sender.
            recipients: envelope recipients, in or out of the sandbox.
            channel: ``smtp`` or ``gmail``.
            delivered_message_id: replaces its Message-ID in the mailboxes; None: as the rewriting fault decides.
            time_ms: epoch milliseconds; None: now.
            sent_by: the account that also gets it as sent mail.

        Returns:
            The record, and the sender's own message where ``sent_by`` is given.
        """
        time_ms = self.now_ms if time_ms is None else time_ms
        users = tuple(dict.fromkeys(user.strip().lower() for user in recipients))
        content = delivered = Content(raw)
        if delivered_message_id is None:
            delivered_message_id = self._delivered_id(content.message_id, channel, users)
        if delivered_message_id != content.message_id:
            delivered = Content(with_message_id(raw, delivered_message_id))
        record = Accepted(
            number=self.accepted.next_number,
            time_ms=time_ms,
            sender=sender,
            recipients=users,
            content=content,
            message_id=content.message_id,
            delivered_message_id=delivered_message_id,
            occurrence=content.header("x-gda-occurrence"),
            subject=content.header("subject"),
            channel=channel,
        )
        self.accepted.record(record)
        if self._journal:
            self._journal.accepted(record, sent_by.email if sent_by else None)
        return record, self._deliver(delivered, users, time_ms, sent_by)

    def change_calendar(self, account: Account, change: dict[str, Any], *, time_ms: int | None = None) -> list[str]:
        """Do to a calendar of the account what ``SandboxCalendar.change`` can, at ``time_ms`` (None: now).

        ``change`` may name it by ``calendar``; else it is the account's own.

        Raises:
            UsageError: there is no such calendar, or it cannot be done.
        """
        time_ms = self.now_ms if time_ms is None else time_ms
        name = str(change.get("calendar", "primary"))
        calendar = self.accounts.calendar(account, name)
        if calendar is None:
            raise UsageError(f"{account.email} has no calendar {name!r}")
        what = {key: value for key, value in change.items() if key not in ("calendar", "email")}
        done = calendar.change(what, account.email, at(time_ms))
        if self._journal:
            self._journal.calendar(account.email, change, time_ms)
        return done

    def set_revoked(self, account: Account, revoked: bool) -> None:
        """Withdraw the account's consent, or grant it again."""
        (self.accounts.revoke if revoked else self.accounts.restore)(account)
        if self._journal:
            self._journal.revoked(account.email, revoked)

    def _deliver(self, content: Content, users: Sequence[str], time_ms: int, sent_by: Account | None) -> Message | None:
        sent = None
        if sent_by is not None:
            labels = ("SENT", *INBOX_UNREAD) if sent_by.email in users else ("SENT",)
            sent = sent_by.mailbox.add(content, internal_ms=time_ms, delivered_ms=time_ms, labels=labels)
        for user in users:
            account = self.accounts.by_email(user)
            if account is not None and account is not sent_by:
                account.mailbox.add(content, internal_ms=time_ms, delivered_ms=time_ms)
        return sent

    def _delivered_id(self, message_id: str, channel: str, users: tuple[str, ...]) -> str:
        endpoint = "smtp" if channel == "smtp" else "messages.send"
        if not message_id or (self.faults and self.faults.take("rewrite_message_id", endpoint, *users)):
            return f"{uuid4().hex}@sandbox.invalid"
        return message_id

    def _first_mail(
        self, email: str, mail: str | None, samples: str | None, generate: MailPlan | None
    ) -> list[SourceMail]:
        if generate is not None:
            return [SourceMail(raw) for raw in pick_mail(generate, email)]
        if mail is not None:
            return read_mail(Path(mail))
        if samples is None:
            return []
        if samples not in self._samples:
            self._samples[samples] = read_samples(samples)
        return self._samples[samples]

    def _shared(self, raw: bytes) -> Content:
        return self._contents.setdefault(raw, Content(raw))


def at(time_ms: int) -> datetime:
    """Return the aware instant of milliseconds since the epoch."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def first_calendars(email: str, mail: str | None, samples: str | None, now: datetime) -> dict[str, SandboxCalendar]:
    """Return an account's calendars by id, from the calendar files beside its first mail.

    ``calendar.ics``, or the only file named, is the account's own; any other becomes a calendar of its own.

    Raises:
        UsageError: a file cannot be read.
    """
    path = Path(mail) if mail else SAMPLES / samples if samples else None
    files = read_calendars(path) if path else {}
    found: dict[str, SandboxCalendar] = {}
    for stem, text in files.items():
        file = read_calendar(text, now=now)
        own = stem == "calendar" or path is None or path.suffix == CALENDAR_SUFFIX
        key = email if own else f"{stem}@group.calendar.sandbox"
        found[key] = SandboxCalendar(key, file.name or (email if own else stem), file.timezone, primary=own)
        found[key].load(file, email, now)
    return found


def with_message_id(raw: bytes, message_id: str) -> bytes:
    """Return the mail with this Message-ID in place of the one it has, if any; every other byte stays."""
    head = header_block(raw)
    newline = b"\r\n" if b"\r\n" in raw else b"\n"
    # The header block comes without its last line end; with it, the pattern sees every header as a whole line.
    end = len(head) + len(newline)
    kept = _MESSAGE_ID_LINE.sub(b"", raw[:end])
    return b"Message-ID: <" + message_id.encode() + b">" + newline + kept + raw[end:]
