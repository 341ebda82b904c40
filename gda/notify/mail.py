"""A notice as a mail, journalled as a digest's: intent, send, confirmation, and one Message-ID for all attempts."""

import html
from datetime import timedelta
from email.utils import parseaddr

from gda.body import Job
from gda.digest import Recipient, as_bytes, build_email, message_id_for
from gda.digest.render import Rendered
from gda.errors import InDoubt, ProviderError
from gda.notify.channels import Channels
from gda.store import Confirmation, Errand, Intent

LONGEST_SUBJECT = 120


async def deliver(channels: Channels, job: Job, title: str, body: str) -> None:
    """Send one mail, unless it is known to be sent.

    A mail in doubt is sent again, under the same Message-ID, when the channel's settling time has passed since the
    intent (DESIGN 8): nobody's mailbox is read for a notice.

    Raises:
        ProviderError: the mail server refused or failed.
        InDoubt: an earlier attempt may have sent it, and the settling time has not passed.
        ClaimLost: another worker has taken the occurrence over.
    """
    settings, effects = channels.settings, channels.store.effects
    errand = await effects.errand(job.claim)
    if errand.effect is not None and errand.effect.state == "confirmed":
        return
    if errand.effect is not None and errand.effect.state == "intent":
        settled_at = errand.effect.intent_at + timedelta(seconds=settings.mail_settling_seconds)
        if errand.now < settled_at:
            raise InDoubt("an earlier attempt may have sent the mail; it is sent again after the settling time")
    sender = parseaddr(settings.mail_from)[1]
    message_id = message_id_for(job.occurrence.id, sender.partition("@")[2])
    raw = write_mail(errand, job.occurrence.id, message_id, settings.mail_from, title, body)
    busy = timedelta(seconds=settings.smtp_timeout_seconds)
    await effects.intend(Intent(job.claim, message_id, {}, busy))
    assert channels.smtp is not None
    try:
        reply = await channels.smtp.send(raw, sender=sender, recipient=errand.user.email, check=job.still_mine)
    except ProviderError:
        await effects.refuse(job.claim)
        raise
    await effects.confirm(Confirmation(job.claim, reply, None))


def write_mail(errand: Errand, occurrence_id: str, message_id: str, mail_from: str, title: str, body: str) -> bytes:
    """The mail's bytes."""
    user = errand.user
    subject = title if len(title) <= LONGEST_SUBJECT else title[: LONGEST_SUBJECT - 1] + "…"
    page = f"<p><strong>{html.escape(title)}</strong></p><p>{html.escape(body)}</p>"
    mail = build_email(
        Rendered(subject, page, f"{title}\n\n{body}\n"),
        sender=mail_from,
        recipient=Recipient(user.email, user.name, user.timezone),
        message_id=message_id,
        occurrence_id=occurrence_id,
        date=errand.now,
    )
    return as_bytes(mail)
