"""A kind's own timeout.

The runner ends every attempt after the time that its occurrence carries. An enqueued occurrence carries the kind's or
its own; one promised by a schedule carries the installation's, for a schedule knows no job types: there this middleware
ends it when the kind allows less.
"""

import asyncio
from datetime import timedelta

from gda.body import Job, Middleware, Perform
from gda.outcome import Outcome, Retry


def within(limit: timedelta) -> Middleware:
    """Middleware that ends an attempt at a schedule's occurrence after ``limit``; it is tried again, as after an error.

    A synchronous body goes on in its thread: Python cannot stop it. Its outcome is not heard.
    """
    seconds = limit.total_seconds()

    async def timed(job: Job, call_next: Perform) -> Outcome:
        if job.occurrence.schedule_id is None:
            return await call_next(job)
        try:
            async with asyncio.timeout(seconds) as clock:
                return await call_next(job)
        except TimeoutError:
            if not clock.expired():
                raise
            return Retry(f"the attempt took longer than {seconds:g} s, its kind's timeout", timed_out=True)

    return timed
