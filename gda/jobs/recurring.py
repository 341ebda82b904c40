"""Recurring to-dos: each completed one is followed by the next of its series, once for each completion.

The work is the database's alone: one transaction finds completed ones, inserts what follows and marks them processed.
A worker that dies leaves nothing half done, and what it leaves is found again.
"""

import logging

from gda.declare import job_type
from gda.job import Job
from gda.jobs import RECURRING_TASK
from gda.jobs.scanning import ScanTools, open_tools, until_empty
from gda.outcome import Done, Outcome, Skip
from gda.store import Followed, Store

log = logging.getLogger("gda.jobs")

NOTHING = "no completed to-do repeats"


async def follow_batch(store: Store) -> list[Followed]:
    """Follow one batch of completed to-dos and log each by its ids; empty when there are none."""
    batch = await store.todo_scans.follow()
    for one in batch:
        if one.next_id is not None:
            log.info("to-do %s of %s goes on as %s", one.todo_id, one.user_id, one.next_id)
        else:
            log.warning("to-do %s of %s has no next one: %s", one.todo_id, one.user_id, one.note)
    return batch


async def follow_completed(tools: ScanTools, job: Job) -> Outcome:
    """Follow all that were completed and not processed."""
    found = await until_empty(lambda: follow_batch(tools.store))
    return Done(summary(found)) if found else Skip(NOTHING)


recurring_task = job_type(kind=RECURRING_TASK, once_per="to-do + completion", tools=open_tools)(follow_completed)
"""The kind as everybody declares one; its own flow wakes it every five minutes."""


def summary(found: list[Followed]) -> str:
    """What a scan did, in counts."""
    made = sum(one.next_id is not None for one in found)
    return f"{len(found)} completed to-dos, {made} followed"
