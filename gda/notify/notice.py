"""A notice, and the one function that delivers it."""

from dataclasses import dataclass

from gda.body import Job
from gda.notify import mail
from gda.notify.channels import Channels
from gda.store import NewNotification

INBOX = "inbox"
MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a user shall be told: ``cause`` names what for, and is told once; title and body are for people."""

    user_id: str
    cause: str
    title: str
    body: str


async def notify(channels: Channels, job: Job, notice: Notice) -> tuple[str, ...]:
    """Deliver a notice.

    Args:
        channels: what it goes through.
        job: the attempt that does so; its occurrence is what a mail's Message-ID and journal hang on.
        notice: what to say.

    Returns:
        The names of the channels that have it now.

    Raises:
        ProviderError: a channel refused or failed; what the others have they keep, and a repetition adds nothing there.
        InDoubt: whether a mail arrived is not known yet.
        ClaimLost: another worker has taken the occurrence over.
    """
    await channels.store.notifications.put(NewNotification(notice.user_id, notice.cause, notice.title, notice.body))
    if channels.smtp is None:
        return (INBOX,)
    await mail.deliver(channels, job, notice.title, notice.body)
    return (INBOX, MAIL)
