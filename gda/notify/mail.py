"""A notice as a mail, journalled as a digest's: intent, send, confirmation, and one Message-ID for all attempts."""

import html
from datetime import datetime, timedelta
from email.utils import parseaddr

from gda.digest import Recipient, as_bytes, build_email, message_id_for
from gda.digest.render import Rendered
from gda.errors import InDoubt, ProviderError
from gda.notify.steps import Delivery
from gda.store import SEND, Intent, Receipt, Refusal, User

LONGEST_SUBJECT = 120


async def deliver(delivery: Delivery) -> bool:
    """Send one mail, unless it is known to be sent; says whether the installation sends any.

    A mail in doubt is sent again, under the same Message-ID, when the channel's settling time has passed since the
    intent (DESIGN 8): nobody's mailbox is read for a notice.

    Raises:
        ProviderError: the mail server refused or failed.
        InDoubt: an earlier attempt may have sent it, and the settling time has not passed.
        ClaimLost: another worker has taken the occurrence over.
    """
    errand, smtp, job = delivery.errand, delivery.channels.smtp, delivery.job
    if smtp is None:
        return False
    if errand.settled(SEND):
        return True
    settings, journal = delivery.channels.settings, delivery.channels.store.effects
    earlier = errand.doubtful(SEND)
    if earlier is not None and errand.now < earlier.intent_at + timedelta(seconds=settings.mail_settling_seconds):
        raise InDoubt("an earlier attempt may have sent the mail; it is sent again after the settling time")
    sender = parseaddr(settings.mail_from)[1]
    message_id = message_id_for(job.occurrence.id, sender.partition("@")[2])
    raw = write_mail(delivery, message_id, settings.mail_from, errand.user, errand.now)
    await journal.intend(Intent(job.claim, message_id, timedelta(seconds=settings.smtp_timeout_seconds)))
    try:
        reply = await smtp.send(raw, sender=sender, recipient=errand.user.email, check=job.still_mine)
    except ProviderError:
        await journal.refuse(Refusal(job.claim))
        raise
    await journal.confirm(Receipt(job.claim, reply))
    return True


def write_mail(delivery: Delivery, message_id: str, mail_from: str, user: User, now: datetime) -> bytes:
    """The mail's bytes."""
    title, body = delivery.title, delivery.body
    subject = title if len(title) <= LONGEST_SUBJECT else title[: LONGEST_SUBJECT - 1] + "…"
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in body.splitlines())
    mail = build_email(
        Rendered(subject, f"<p><strong>{html.escape(title)}</strong></p>{lines}", f"{title}\n\n{body}\n"),
        sender=mail_from,
        recipient=Recipient(user.email, user.name, user.timezone),
        message_id=message_id,
        occurrence_id=delivery.job.occurrence.id,
        date=now,
    )
    return as_bytes(mail)
