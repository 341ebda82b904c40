"""A log line for each attempt: kind, occurrence, number, ending and duration; an error by its class alone."""

import logging
import time

from gda.body import Job, Perform
from gda.middleware.endings import ending_of
from gda.outcome import Outcome

log = logging.getLogger("gda.jobs")


async def log_attempts(job: Job, call_next: Perform) -> Outcome:
    """Log what is done at INFO, what raised at WARNING; logger ``gda.jobs``."""
    began = time.monotonic()
    try:
        outcome = await call_next(job)
    except BaseException as error:
        _say(logging.WARNING, job, f"{ending_of(error)} {type(error).__name__}", began)
        raise
    _say(logging.INFO, job, ending_of(outcome), began)
    return outcome


def _say(level: int, job: Job, ending: str, began: float) -> None:
    seconds = time.monotonic() - began
    occurrence = job.occurrence
    log.log(level, "%s %s attempt %d: %s in %.3f s", occurrence.kind, occurrence.id, job.number, ending, seconds)
