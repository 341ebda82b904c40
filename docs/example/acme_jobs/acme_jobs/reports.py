"""The sales report: for each user who has a schedule for it, once per slot."""

import os

from gda.declare import job_type
from gda.job import Job, Perform
from gda.outcome import Done, Outcome, Skip

from acme_jobs.news import NEWS
from acme_jobs.outbox import put


async def unless_closed(job: Job, call_next: Perform) -> Outcome:
    """Middleware: on the days that ACME_CLOSED_ON lists (2026-12-25,2026-12-26) there is nothing to report."""
    day = (job.occurrence.slot or "").partition("T")[0]
    if day and day in os.environ.get("ACME_CLOSED_ON", "").split(","):
        return Skip(f"closed on {day}")
    return await call_next(job)


@job_type(kind="sales-report", once_per="slot", aliases=["report"], hooks=NEWS, middleware=[unless_closed])
def sales_report(job: Job) -> Done:
    """Write one user's report; a plain function, so it runs in a thread."""
    occurrence = job.occurrence
    put(f"report-{occurrence.user_id}-{occurrence.slot or occurrence.id}.txt", "Nothing was sold.\n")
    return Done("1 page")
