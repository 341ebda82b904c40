"""What stands around every job: a log line, figures, a span. Middleware is a function of the job and what comes next::

    async def only_on_weekdays(job: Job, call_next: Perform) -> Outcome:
        if job.occurrence.due_at.weekday() >= 5:
            return Skip("weekend")
        return await call_next(job)

None of these records a payload, a summary or the text of an error: those may hold what nobody may read in a log.
"""

from gda.body import Middleware
from gda.middleware.logging import log_attempts
from gda.middleware.metrics import count_attempts
from gda.middleware.tracing import trace_attempts

STANDARD: tuple[Middleware, ...] = (log_attempts, count_attempts, trace_attempts)
"""Outermost first; ``bind`` and ``opened`` put these around every kind unless told otherwise."""
