"""One word for how an attempt ended, from a small fixed set, fit for a label of a metric."""

import asyncio

from gda.errors import ClaimLost
from gda.outcome import Done, Fail, Hold, Outcome, Retry, Skip, Snooze

WORDS: dict[type, str] = {
    Done: "done",
    Skip: "skipped",
    Retry: "retry",
    Snooze: "snoozed",
    Hold: "held",
    Fail: "failed",
}


def ending_of(ended: Outcome | BaseException) -> str:
    """``done``, ``skipped``, ``retry``, ``snoozed``, ``held``, ``failed``; ``raised``, ``lost`` or ``stopped``."""
    match ended:
        case ClaimLost():
            return "lost"
        case asyncio.CancelledError() | KeyboardInterrupt():
            return "stopped"
        case BaseException():
            return "raised"
        case _:
            return WORDS[type(ended)]
