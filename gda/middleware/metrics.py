"""Figures for Prometheus, in the client's default registry; whoever wants them exposes that (``start_http_server``).

``gda_attempts_total{kind, ending}``, ``gda_attempt_seconds{kind}`` and ``gda_attempts_running{kind}``. Labels are kinds
and endings only, never a user or an occurrence, so their number stays small.
"""

import time
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from gda.body import Job, Perform
from gda.middleware.endings import ending_of
from gda.outcome import Outcome

ATTEMPTS = Counter("gda_attempts", "Attempts that ended, by kind and ending.", ["kind", "ending"])
SECONDS = Histogram(
    "gda_attempt_seconds",
    "How long attempts took, in seconds.",
    ["kind"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300),
)
RUNNING = Gauge("gda_attempts_running", "Attempts that run in this process now.", ["kind"])


async def count_attempts(job: Job, call_next: Perform) -> Outcome:
    """Count the attempt, how it ended and how long it took."""
    kind, began = job.occurrence.kind, time.monotonic()
    ending, running, seconds = "raised", *_of(kind)
    with running.track_inprogress():
        try:
            outcome = await call_next(job)
            ending = ending_of(outcome)
            return outcome
        except BaseException as error:
            ending = ending_of(error)
            raise
        finally:
            _ended(kind, ending).inc()
            seconds.observe(time.monotonic() - began)


# The client looks its labels up under a lock each time; there are few of them.
@cache
def _of(kind: str) -> tuple[Gauge, Histogram]:
    return RUNNING.labels(kind), SECONDS.labels(kind)


@cache
def _ended(kind: str, ending: str) -> Counter:
    return ATTEMPTS.labels(kind, ending)
