"""Notices on their own: what quiet hours held, told as one when they end, and a trial of a user's channels.

The sweep finds whose quiet hours are over and gives each user one occurrence for all that was held; a drain does it.
"""

from typing import Literal

from pydantic import BaseModel

from gda.declare import job_type
from gda.job import Job
from gda.jobs import NOTICE
from gda.notify import Channels, Delivery, open_channels, quiet_end, tell
from gda.outcome import Done, Outcome, Skip, Snooze
from gda.store import Asked, HeldNotice, NoticeErrand

NOTHING = "nothing is held any more"
NOBODY = "no channel of the user's is ready"
TRIAL = ("A trial of your channels", "GDA was asked to try whether this reaches you. There is nothing to do.")
MOST_LISTED = 50


class NoticeWanted(BaseModel):
    """What an occurrence carries: which notice, never its text."""

    what: Literal["held", "trial"] = "trial"


async def give_notice(channels: Channels, job: Job) -> Outcome:
    """Tell one user what was held, or try the user's channels.

    Returns:
        Done with the channels' names; Skip where nothing is held any more; Snooze where the user wants quiet again.

    Raises:
        ProviderError: a channel refused or failed.
        InDoubt: whether a mail arrived is not known yet.
        Unverifiable: a chat or a browser may have it.
        ClaimLost: another worker has taken the occurrence over.
    """
    asked = Asked(job.claim, str(job.occurrence.user_id), job.occurrence.dedup_key)
    errand = await channels.store.notice_errands.errand(asked)
    if job.payload.what == "trial":
        told = await tell(Delivery(channels, job, errand, *TRIAL))
        return Done(", ".join(told)) if told else Skip(NOBODY)
    return await _tell_held(channels, job, errand)


async def _tell_held(channels: Channels, job: Job, errand: NoticeErrand) -> Outcome:
    held = await channels.store.held_notices.of(job.claim)
    if not held:
        return Skip(NOTHING)
    until = quiet_end(errand)
    if until is not None and not errand.steps:
        return Snooze(until, "the user wants quiet again")
    told = await tell(Delivery(channels, job, errand, *as_one(held)))
    await channels.store.held_notices.told(job.claim)
    return Done(f"{len(held)} held, told through {', '.join(told) or 'the inbox alone'}")


def as_one(held: list[HeldNotice]) -> tuple[str, str]:
    """Title and body of one notice that tells several, a line for each; a single one stays as it is."""
    if len(held) == 1:
        return held[0].title, held[0].body
    lines = [f"{one.title}: {one.body}" if one.body else one.title for one in held[:MOST_LISTED]]
    if len(held) > MOST_LISTED:
        lines.append(f"and {len(held) - MOST_LISTED} more")
    return f"{len(held)} notices from your quiet hours", "\n".join(lines)


notice = job_type(kind=NOTICE, once_per="user + end of quiet hours", payload=NoticeWanted, tools=open_channels)(
    give_notice
)
"""The kind as everybody declares one; the sweep promises it."""
