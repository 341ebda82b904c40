"""A notice, and the one function that delivers it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gda.body import Job
from gda.notify import chat, mail, push
from gda.notify.channels import CHAT, INBOX, MAIL, PUSH, Channels
from gda.notify.quiet import quiet_until, read_quiet
from gda.notify.steps import Delivery, gathered
from gda.store import Asked, HeldNotice, NewNotification, NoticeErrand, Preference

HELD = "held"
"""Stands for the channels that wait until the user's quiet hours end."""
UNCHOSEN = (INBOX, MAIL)
"""What users hear through who have chosen nothing."""

_LOUD: dict[str, Callable[[Delivery], Awaitable[bool]]] = {MAIL: mail.deliver, PUSH: push.deliver, CHAT: chat.deliver}


@dataclass(frozen=True, slots=True)
class Notice:
    """What a user shall be told: ``cause`` names what for, and is told once; title and body are for people.

    One that is ``urgent`` does not wait for the end of quiet hours.
    """

    user_id: str
    cause: str
    title: str
    body: str
    urgent: bool = False


async def notify(channels: Channels, job: Job, notice: Notice, errand: NoticeErrand | None = None) -> tuple[str, ...]:
    """Deliver a notice through the channels that its user prefers, or hold it while they want quiet.

    The inbox has it at once: it makes no noise. Held notices go out together when the quiet hours end.

    Args:
        channels: what it goes through.
        job: the attempt that does so; its occurrence is what the journal of each channel hangs on.
        notice: what to say.
        errand: what was read for this user and cause just now; read here where it is not given.

    Returns:
        The names of the channels that have it now, and ``held`` where it waits.

    Raises:
        ProviderError: a channel refused or failed; what the others have they keep, and a repetition adds nothing there.
        InDoubt: whether a mail arrived is not known yet.
        Unverifiable: a chat or a browser may have it, and only a person may have it sent there again.
        ClaimLost: another worker has taken the occurrence over.
    """
    if errand is None:
        errand = await channels.store.notice_errands.errand(Asked(job.claim, notice.user_id, notice.cause))
    wanted = wanted_by(errand.preference)
    if INBOX in wanted:
        await channels.store.notifications.put(NewNotification(notice.user_id, notice.cause, notice.title, notice.body))
    told = tuple(name for name in wanted if name == INBOX)
    if await _held(channels, errand, notice, wanted):
        return (*told, HELD)
    return (*told, *await tell(Delivery(channels, job, errand, notice.title, notice.body)))


async def tell(delivery: Delivery) -> tuple[str, ...]:
    """Use every channel that the user prefers and that makes a noise; returns those that have it now.

    Raises:
        Exception: as :func:`notify`; one channel's failure stops no other.
    """
    wanted = [name for name in wanted_by(delivery.errand.preference) if name in _LOUD]
    if not wanted:
        return ()
    done = await gathered(*(_LOUD[name](delivery) for name in wanted))
    return tuple(name for name, there in zip(wanted, done, strict=True) if there)


def wanted_by(preference: Preference | None) -> Sequence[str]:
    """The channels that a user prefers."""
    return UNCHOSEN if preference is None else preference.channels


def quiet_end(errand: NoticeErrand) -> datetime | None:
    """When the quiet hours that the user has now end; None: there are none now."""
    hours = errand.preference.quiet if errand.preference is not None else ""
    return quiet_until(errand.now, read_quiet(hours) if hours else None, errand.user.timezone)


async def _held(channels: Channels, errand: NoticeErrand, notice: Notice, wanted: Sequence[str]) -> bool:
    if errand.held:
        return True
    # What one channel has got already is not told again with the others.
    if notice.urgent or errand.steps or not any(name in _LOUD for name in wanted):
        return False
    until = quiet_end(errand)
    if until is None:
        return False
    held = HeldNotice(notice.user_id, notice.cause, notice.title, notice.body, until)
    await channels.store.held_notices.hold(held)
    return True
