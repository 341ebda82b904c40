"""One mail of one occurrence, sent twice only if the mailbox cannot show the first one within the settling time.

Before the send an intent with what is told is written, after it the confirmation; a worker that dies in between leaves
the send *in doubt*, and the next attempt looks for the mail in the mailbox before it sends the same Message-ID again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, Protocol

import httpx

from gda.delivery.smtp import SmtpPool
from gda.digest import Recipient, Rendered, as_bytes, build_email, message_id_for
from gda.errors import InDoubt, ProviderError, UsageError
from gda.google.gmail import Gmail
from gda.google.http import open_http
from gda.job import Job
from gda.jobs.mailbox import Mailboxes
from gda.lifecycle import IN_DOUBT_RECHECK
from gda.outcome import Done, Outcome, Snooze
from gda.settings import Settings
from gda.store import Effect, Errand, Intent, Refusal, Store
from gda.vault import Vault

EARLIER_RECHECK = timedelta(seconds=5)
FOUND = "found in the mailbox"


@dataclass(frozen=True, slots=True)
class MailTools:
    """What a mail to a user works with; one set per process."""

    settings: Settings
    store: Store
    mailboxes: Mailboxes
    smtp: SmtpPool
    sender_address: str


def mail_tools(settings: Settings, store: Store, vault: Vault, http: httpx.AsyncClient, smtp: SmtpPool) -> MailTools:
    """Put the tools together over open connections. Raises UsageError when ``GDA_MAIL_FROM`` holds no address."""
    return MailTools(settings, store, Mailboxes(store, vault, http, settings), smtp, _address_of(settings.mail_from))


@asynccontextmanager
async def open_tools(settings: Settings, store: Store) -> AsyncIterator[MailTools]:
    """Open HTTP client and mail connections, and close them at the end. Raises UsageError."""
    async with open_http(settings) as http, SmtpPool(settings) as smtp:
        yield mail_tools(settings, store, Vault.from_settings(settings), http, smtp)


@dataclass(frozen=True, slots=True)
class Mailing:
    """One attempt at one mail: ``gmail`` is the mailbox that it goes to."""

    tools: MailTools
    job: Job
    errand: Errand
    gmail: Gmail

    @property
    def recipient(self) -> Recipient:
        """The user, in the occurrence's timezone."""
        user = self.errand.user
        return Recipient(user.email, user.name, self.job.occurrence.timezone)

    def finished(self, rendered: Rendered, message_id: str, date: datetime) -> bytes:
        """The bytes of a rendered mail; ``date`` (aware) is the same for all attempts at it."""
        mail = build_email(
            rendered,
            sender=self.tools.settings.mail_from,
            recipient=self.recipient,
            message_id=message_id,
            occurrence_id=self.job.occurrence.id,
            date=date,
        )
        return as_bytes(mail)


class Letter(Protocol):
    """What a mail says; every attempt that knows its content says the same."""

    @property
    def content(self) -> dict[str, Any]:
        """What later attempts make the same letter from."""
        ...

    @property
    def summary(self) -> str:
        """What the ledger notes of it."""
        ...

    async def write(self, message_id: str) -> bytes:
        """The mail's bytes."""
        ...

    async def confirm(self, reply: str) -> None:
        """Write that it is delivered, and what its schedule remembers of that, in one transaction. Raises ClaimLost."""
        ...


def wait_for_earlier(errand: Errand) -> Snooze | None:
    """An earlier slot of the same schedule comes first: what it tells, this one must not; None where there is none.

    A mail that has its intent goes on: what it tells was fixed before.
    """
    earlier = errand.earlier
    if errand.effect is not None or earlier is None:
        return None
    until = max(earlier.ready_at, errand.now + EARLIER_RECHECK)
    return Snooze(until, f"waits until slot {earlier.slot} of the same schedule has settled")


async def resume(mailing: Mailing, effect: Effect, letter: Letter) -> Outcome:
    """An earlier attempt got as far as an intent: find out what became of it, then finish.

    Args:
        mailing: this attempt.
        effect: the journal's row of the earlier one.
        letter: made from the content of ``effect``.

    Returns:
        Done when the mail is known to be delivered, Snooze while it is in doubt.

    Raises:
        ProviderError: Google or the mail server refused or failed.
        ClaimLost: another worker has taken the occurrence over.
    """
    if effect.state == "confirmed":
        return Done(letter.summary)
    if effect.state == "intent":
        if await mailing.gmail.find_sent(effect.reference, mailing.job.occurrence.id, effect.intent_at):
            await letter.confirm(FOUND)
            return Done(letter.summary)
        settled_at = effect.intent_at + timedelta(seconds=mailing.tools.settings.mail_settling_seconds)
        now = mailing.errand.now
        if now < settled_at:
            return Snooze(min(settled_at, now + IN_DOUBT_RECHECK), "in doubt: the mail may still appear")
    return await send(mailing, letter)


async def send(mailing: Mailing, letter: Letter) -> Done:
    """Write the mail, then the intent, send under a checked lease, confirm. Raises as ``resume``, and InDoubt."""
    tools, job = mailing.tools, mailing.job
    message_id = message_id_for(job.occurrence.id, tools.sender_address.partition("@")[2])
    raw = await letter.write(message_id)
    busy = timedelta(seconds=tools.settings.smtp_timeout_seconds)
    effect = await tools.store.effects.intend(Intent(job.claim, message_id, busy, letter.content))
    recipient = mailing.errand.user.email
    try:
        reply = await tools.smtp.send(raw, sender=tools.sender_address, recipient=recipient, check=job.still_mine)
    except InDoubt:
        # The mail may have arrived although its receipt did not: the mailbox often knows at once.
        if not await mailing.gmail.find_sent(message_id, job.occurrence.id, effect.intent_at):
            raise
        reply = FOUND
    except ProviderError:
        await tools.store.effects.refuse(Refusal(job.claim))
        raise
    await letter.confirm(reply)
    return Done(letter.summary)


def _address_of(mail_from: str) -> str:
    address = parseaddr(mail_from)[1]
    if "@" not in address:
        raise UsageError(
            f"GDA_MAIL_FROM={mail_from!r} holds no address; write it like `GDA digest <digest@example.org>`"
        )
    return address
