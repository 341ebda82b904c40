"""The digest: new mail, ranked and summarised, delivered once per slot.

Which mail it lists is fixed with its first intent; how it is sent once is said in ``gda.jobs.mailing``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from gda.binding import bind
from gda.declare import job_type
from gda.delivery.smtp import SmtpPool
from gda.digest import compose, render
from gda.job import Job, JobType
from gda.jobs import DIGEST
from gda.jobs.mailing import Mailing, MailTools, mail_tools, open_tools, resume, send, wait_for_earlier
from gda.jobs.window import Found, gather, read_messages
from gda.mail import Message
from gda.outcome import Outcome, Skip
from gda.schedule import zone
from gda.settings import Settings
from gda.store import Confirmation, Store
from gda.vault import Vault

NOTHING_NEW = "no new mail"
CROWD_CHUNK = 8
"""Digests that share a task run in a crowd; one task run each was nearly half of a digest's CPU (bench/digests.py)."""


async def deliver(tools: MailTools, job: Job) -> Outcome:
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
    errand = await tools.store.errands.errand(job.claim)
    if wait := wait_for_earlier(errand):
        return wait
    mailing = Mailing(tools, job, errand, await tools.mailboxes.open(errand))
    if errand.effect is None:
        return await send_new(mailing)
    return await resume(mailing, errand.effect, DigestLetter(mailing, Found.from_json(errand.effect.content)))


digest = job_type(
    kind=DIGEST, once_per="slot", crowd_chunk=CROWD_CHUNK, tools=open_tools, flow="flows.digest.deliver_digests"
)(deliver)
"""The kind as everybody declares one."""


def digest_job(settings: Settings, store: Store, vault: Vault, http: httpx.AsyncClient, smtp: SmtpPool) -> JobType:
    """The digest, ready to run over open connections. Raises UsageError when ``GDA_MAIL_FROM`` holds no address."""
    return bind(digest, settings, mail_tools(settings, store, vault, http, smtp))


async def send_new(mailing: Mailing) -> Outcome:
    """First attempt to get this far: fix the window, then send."""
    tools, job, errand = mailing.tools, mailing.job, mailing.errand
    found, messages = await gather(
        mailing.gmail,
        # An extra digest stands beside the schedule: it neither moves the cursor nor depends on what was delivered.
        None if job.occurrence.extra else errand.cursor,
        due_at=job.occurrence.due_at,
        now=errand.now,
        sender=tools.sender_address,
        settings=tools.settings,
    )
    if not messages:
        if not job.occurrence.extra:
            await tools.store.errands.advance(job.claim, found.cursor)
        return Skip(NOTHING_NEW)
    return await send(mailing, DigestLetter(mailing, found, messages))


@dataclass(frozen=True, slots=True)
class DigestLetter:
    """The digest of a window; one without messages reads them again when it is written."""

    mailing: Mailing
    found: Found
    messages: Sequence[Message] | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The window by ids."""
        return self.found.to_json()

    @property
    def summary(self) -> str:
        """How many messages it lists."""
        return f"{len(self.found.window.message_ids) + self.found.hidden} messages"

    async def write(self, message_id: str) -> bytes:
        """The mail's bytes; equal for every attempt that finds the same messages."""
        mailing, window = self.mailing, self.found.window
        messages = self.messages
        if messages is None:
            messages = await read_messages(mailing.gmail, window.message_ids)
        occurrence = mailing.job.occurrence
        composed = compose(
            messages,
            recipient=mailing.recipient,
            window=window,
            label=occurrence.slot or _local_minute(window.until, occurrence.timezone),
            max_messages=mailing.tools.settings.digest_max_messages,
        )
        return mailing.finished(render(composed), message_id, window.until)

    async def confirm(self, reply: str) -> None:
        """Write that it is delivered and move the schedule's cursor."""
        job = self.mailing.job
        cursor = None if job.occurrence.extra else self.found.cursor
        await self.mailing.tools.store.errands.confirm(Confirmation(job.claim, reply, cursor))


def _local_minute(instant: datetime, timezone: str) -> str:
    return f"{instant.astimezone(zone(timezone)):%Y-%m-%dT%H:%M}"
