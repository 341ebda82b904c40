"""The digest: new mail, ranked and summarised, delivered once per slot.

A mail is sent twice only if the recipient's mailbox cannot show the first one within the settling time. Before the send
an intent with the window is written, after it the confirmation; a worker that dies in between leaves the send *in
doubt*, and the next attempt looks for the mail in the mailbox before it sends the same Message-ID again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr

import httpx

from gda.binding import bind
from gda.declare import job_type
from gda.delivery.smtp import SmtpPool
from gda.digest import Recipient, as_bytes, build_email, compose, message_id_for, render
from gda.errors import InDoubt, ProviderError, UsageError
from gda.google.gmail import Gmail
from gda.google.http import open_http
from gda.job import Job, JobType
from gda.jobs import DIGEST
from gda.jobs.mailbox import Mailboxes
from gda.jobs.window import Found, gather, read_messages
from gda.lifecycle import IN_DOUBT_RECHECK
from gda.mail import Message
from gda.outcome import Done, Outcome, Skip, Snooze
from gda.schedule import zone
from gda.settings import Settings
from gda.store import Confirmation, Effect, Errand, Intent, Store
from gda.vault import Vault

NOTHING_NEW = "no new mail"
EARLIER_RECHECK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class DigestTools:
    """What a digest works with; one set per process."""

    settings: Settings
    store: Store
    mailboxes: Mailboxes
    smtp: SmtpPool
    sender_address: str


def digest_tools(
    settings: Settings, store: Store, vault: Vault, http: httpx.AsyncClient, smtp: SmtpPool
) -> DigestTools:
    """Put the tools together over open connections. Raises UsageError when ``GDA_MAIL_FROM`` holds no address."""
    return DigestTools(settings, store, Mailboxes(store, vault, http, settings), smtp, _address_of(settings.mail_from))


@asynccontextmanager
async def open_tools(settings: Settings, store: Store) -> AsyncIterator[DigestTools]:
    """Open HTTP client and mail connections, and close them at the end. Raises UsageError."""
    async with open_http(settings) as http, SmtpPool(settings) as smtp:
        yield digest_tools(settings, store, Vault.from_settings(settings), http, smtp)


async def deliver(tools: DigestTools, job: Job) -> Outcome:
    """Deliver one user's digest.

    Args:
        tools: the process's tools.
        job: the attempt.

    Returns:
        Done when the mail is known to be delivered, Skip when there is no new mail, Snooze while it is in doubt.

    Raises:
        ProviderError: Google or the mail server refused or failed.
        ClaimLost: another worker has taken the occurrence over.
    """
    errand = await tools.store.effects.errand(job.claim)
    if errand.effect is None and (earlier := errand.earlier) is not None:
        # Whichever mail the earlier one delivers, this one must not list; a resumed window was fixed before.
        until = max(earlier.ready_at, errand.now + EARLIER_RECHECK)
        return Snooze(until, f"waits until slot {earlier.slot} of the same schedule has settled")
    gmail = await tools.mailboxes.open(errand)
    if errand.effect is None:
        return await send_new(tools, job, errand, gmail)
    return await resume(tools, job, errand, errand.effect, gmail)


digest = job_type(kind=DIGEST, once_per="slot", tools=open_tools, flow="flows.digest.deliver_digests")(deliver)
"""The kind as everybody declares one."""


def digest_job(settings: Settings, store: Store, vault: Vault, http: httpx.AsyncClient, smtp: SmtpPool) -> JobType:
    """The digest, ready to run over open connections. Raises UsageError when ``GDA_MAIL_FROM`` holds no address."""
    return bind(digest, settings, digest_tools(settings, store, vault, http, smtp))


async def send_new(tools: DigestTools, job: Job, errand: Errand, gmail: Gmail) -> Outcome:
    """First attempt to get this far: fix the window, then send."""
    occurrence = job.occurrence
    found, messages = await gather(
        gmail,
        # An extra digest stands beside the schedule: it neither moves the cursor nor depends on what was delivered.
        None if occurrence.extra else errand.cursor,
        due_at=occurrence.due_at,
        now=errand.now,
        sender=tools.sender_address,
        settings=tools.settings,
    )
    if not messages:
        if not occurrence.extra:
            await tools.store.effects.advance(job.claim, found.cursor)
        return Skip(NOTHING_NEW)
    return await send(tools, job, errand, gmail, found, messages)


async def resume(tools: DigestTools, job: Job, errand: Errand, effect: Effect, gmail: Gmail) -> Outcome:
    """An earlier attempt got as far as an intent: find out what became of it, then finish."""
    found = Found.from_json(effect.content)
    if effect.state == "confirmed":
        return Done(_summary(found))
    if effect.state == "intent":
        if await gmail.find_sent(effect.reference, job.occurrence.id, effect.intent_at):
            return await confirm(tools, job, found, "found in the mailbox")
        settled_at = effect.intent_at + timedelta(seconds=tools.settings.mail_settling_seconds)
        if errand.now < settled_at:
            return Snooze(min(settled_at, errand.now + IN_DOUBT_RECHECK), "in doubt: the mail may still appear")
    messages = await read_messages(gmail, found.window.message_ids)
    return await send(tools, job, errand, gmail, found, messages)


async def send(
    tools: DigestTools, job: Job, errand: Errand, gmail: Gmail, found: Found, messages: list[Message]
) -> Outcome:
    """Render, write the intent, send under a checked lease, confirm."""
    message_id = message_id_for(job.occurrence.id, tools.sender_address.partition("@")[2])
    raw = write_mail(tools, job, errand, found, messages, message_id)
    busy = timedelta(seconds=tools.settings.smtp_timeout_seconds)
    effect = await tools.store.effects.intend(Intent(job.claim, message_id, found.to_json(), busy))
    try:
        reply = await tools.smtp.send(
            raw, sender=tools.sender_address, recipient=errand.user.email, check=job.still_mine
        )
    except InDoubt:
        # The mail may have arrived although its receipt did not: the mailbox often knows at once.
        if not await gmail.find_sent(message_id, job.occurrence.id, effect.intent_at):
            raise
        reply = "found in the mailbox"
    except ProviderError:
        await tools.store.effects.refuse(job.claim)
        raise
    return await confirm(tools, job, found, reply)


async def confirm(tools: DigestTools, job: Job, found: Found, reply: str) -> Done:
    """Write that the mail is delivered, and move the schedule's cursor in the same transaction."""
    cursor = None if job.occurrence.extra else found.cursor
    await tools.store.effects.confirm(Confirmation(job.claim, reply, cursor))
    return Done(_summary(found))


def write_mail(
    tools: DigestTools, job: Job, errand: Errand, found: Found, messages: list[Message], message_id: str
) -> bytes:
    """The mail's bytes; equal for every attempt that finds the same messages."""
    user = errand.user
    recipient = Recipient(user.email, user.name, job.occurrence.timezone)
    digest = compose(
        messages,
        recipient=recipient,
        window=found.window,
        label=job.occurrence.slot or _local_minute(found.window.until, job.occurrence.timezone),
        max_messages=tools.settings.digest_max_messages,
    )
    mail = build_email(
        render(digest),
        sender=tools.settings.mail_from,
        recipient=recipient,
        message_id=message_id,
        occurrence_id=job.occurrence.id,
        date=found.window.until,
    )
    return as_bytes(mail)


def _summary(found: Found) -> str:
    return f"{len(found.window.message_ids) + found.hidden} messages"


def _local_minute(instant: datetime, timezone: str) -> str:
    return f"{instant.astimezone(zone(timezone)):%Y-%m-%dT%H:%M}"


def _address_of(mail_from: str) -> str:
    address = parseaddr(mail_from)[1]
    if "@" not in address:
        raise UsageError(
            f"GDA_MAIL_FROM={mail_from!r} holds no address; write it like `GDA digest <digest@example.org>`"
        )
    return address
