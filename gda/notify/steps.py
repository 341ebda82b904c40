"""One channel of one occurrence, at most once: intent, send, confirmation."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from gda.body import Job
from gda.errors import InDoubt, Permanent, ProviderError, Unverifiable, UsageError
from gda.notify.channels import Channels
from gda.store import Intent, NoticeErrand, Receipt, Refusal


@dataclass(frozen=True, slots=True)
class Delivery:
    """Somebody is being told something: through what, in which attempt, and how things stood when it began."""

    channels: Channels
    job: Job
    errand: NoticeErrand
    title: str
    body: str


async def once(delivery: Delivery, step: str, send: Callable[[], Awaitable[str]]) -> None:
    """Use a channel that cannot be asked what it has: never again once it may have been used (DESIGN 8).

    Args:
        delivery: what is told.
        step: the channel's name in the journal, at most 32 letters.
        send: does it, within thrice ``GDA_NOTIFY_TIMEOUT_SECONDS``, and returns what the provider calls it.

    Raises:
        ProviderError: it was refused, and is known not to have happened.
        Unverifiable: it may have happened; only a person's replay repeats it.
        ClaimLost: another worker has taken the occurrence over.
    """
    errand, journal, claim = delivery.errand, delivery.channels.store.effects, delivery.job.claim
    if errand.settled(step):
        return
    if errand.doubtful(step) is not None:
        raise Unverifiable(f"{step}: an earlier attempt may have told the user; look there, then replay or discard")
    busy = timedelta(seconds=3 * delivery.channels.settings.notify_timeout_seconds)
    await journal.intend(Intent(claim, claim.occurrence.id, busy, step=step))
    try:
        reply = await send()
    except ProviderError:
        await journal.refuse(Refusal(claim, step))
        raise
    except InDoubt as doubt:
        raise Unverifiable(f"{doubt}; the user may have been told: look there, then replay or discard") from None
    await journal.confirm(Receipt(claim, reply, step))


async def gathered(*ways: Awaitable[bool]) -> list[bool]:
    """Go all ways, whatever becomes of the others; then raise the problem after which most is still to be done.

    Raises:
        Exception: what should not happen, else what may be tried again, else what is waited for, else what a person
            must decide, else what was refused for good.
    """
    if len(ways) == 1:
        return [await ways[0]]
    ended = await asyncio.gather(*ways, return_exceptions=True)
    problems = [each for each in ended if isinstance(each, BaseException)]
    if problems:
        raise min(problems, key=_rank)
    return [each for each in ended if isinstance(each, bool)]


def _rank(problem: BaseException) -> int:
    match problem:
        case Permanent() | UsageError():
            return 4
        case Unverifiable():
            return 3
        case InDoubt():
            return 2
        case ProviderError():
            return 1
    return 0
