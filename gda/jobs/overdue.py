"""Overdue to-dos: what is open and past due is marked, and its user may hear of it, once for each due date.

Mark and notice are written in one transaction. A due date that moves takes the mark away, and may be missed anew.
"""

import logging

from gda.declare import job_type
from gda.job import Job
from gda.jobs import OVERDUE_SCAN
from gda.jobs.scanning import ScanTools, open_tools, until_empty
from gda.outcome import Done, Outcome, Skip
from gda.store import Marked, Store

log = logging.getLogger("gda.jobs")

NOTHING = "nothing is past due"


async def mark_batch(store: Store, *, notify: bool) -> list[Marked]:
    """Mark one batch of overdue to-dos and log each by its ids; empty when there are none."""
    batch = await store.todo_scans.mark_overdue(notify=notify)
    for one in batch:
        log.info("to-do %s of %s is overdue%s", one.todo_id, one.user_id, ", notified" if one.notified else "")
    return batch


async def mark_all(tools: ScanTools, job: Job) -> Outcome:
    """Mark all that are open and past due."""
    found = await until_empty(lambda: mark_batch(tools.store, notify=tools.settings.overdue_notify))
    return Done(summary(found)) if found else Skip(NOTHING)


overdue_scan = job_type(kind=OVERDUE_SCAN, once_per="to-do + due date", tools=open_tools)(mark_all)
"""The kind as everybody declares one; its own flow wakes it every fifteen minutes."""


def summary(found: list[Marked]) -> str:
    """What a scan did, in counts."""
    return f"{len(found)} to-dos are overdue, {sum(one.notified for one in found)} notified"
