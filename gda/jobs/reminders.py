"""Reminders: those that are due are taken, each as an occurrence, and told through their users' channels.

An occurrence's name is the reminder and its time, so that however many workers dispatch, each is sent once; one that
fails is tried again alone. A reminder whose to-do was completed, moved or removed meanwhile is skipped.
"""

import logging
from datetime import timedelta

from pydantic import BaseModel, Field

from gda.declare import job_type
from gda.job import Job
from gda.jobs import REMINDER
from gda.notify import Channels, Notice, notify, open_channels
from gda.outcome import Done, Outcome, Skip
from gda.settings import Settings
from gda.store import Asked, Defaults, DueReminder, Sent, Store, Taken, TakeRules, Waker
from gda.todos import Due, nominal_of

log = logging.getLogger("gda.jobs")

QUEUE = "critical"
CHUNK = 200
AT_ONCE = 4 * CHUNK
"""Reminders under way at once: they wait for shared transactions, and for mail only as the pool of connections lets."""
GONE = "the reminder was removed, moved or cancelled"


class ReminderDue(BaseModel):
    """What an occurrence carries."""

    reminder: str = Field(min_length=1, max_length=64)


async def remind(channels: Channels, job: Job) -> Outcome:
    """Tell one user of one reminder.

    Returns:
        Done when every channel has it, Skip when there is nothing to remind of any more.

    Raises:
        ProviderError: a channel refused or failed.
        InDoubt: a mail may or may not have been sent.
        ClaimLost: another worker has taken the occurrence over.
    """
    asked = Asked(job.claim, str(job.occurrence.user_id), cause_of(job))
    due = await channels.store.reminder_dispatch.read(asked)
    if due is None:
        return Skip(GONE)
    if not due.sent:
        told = await notify(channels, job, notice_of(due, asked.cause), due.errand)
        await channels.store.reminder_dispatch.sent(Sent(job.claim, due.id, told))
    return Done("late" if due.late else "on time")


reminder = job_type(
    kind=REMINDER, once_per="reminder + time", queue=QUEUE, chunk=CHUNK, payload=ReminderDue, tools=open_channels
)(remind)
"""The kind as everybody declares one; its own flow takes and performs what is due each minute."""


async def take_batch(store: Store, settings: Settings, waker: Waker) -> list[Taken]:
    """Take one batch of due reminders and log each that is refused by its id; empty when none is due."""
    batch = await store.reminder_dispatch.take(rules(settings), waker)
    for one in batch:
        if one.occurrence_id is None:
            log.warning("reminder %s of %s is not sent: %s", one.reminder_id, one.user_id, one.reason)
    return batch


def rules(settings: Settings) -> TakeRules:
    """How due reminders are taken under these settings."""
    timeout = reminder.timeout_under(settings)
    return TakeRules(
        kind=REMINDER,
        queue=QUEUE,
        defaults=Defaults(round(timeout.total_seconds()), reminder.retry_under(settings).attempts),
        expire_after=timedelta(seconds=settings.reminder_expire_seconds),
        late_after=timedelta(seconds=settings.reminder_late_seconds),
    )


def cause_of(job: Job) -> str:
    """What the user is told for, once: the reminder and its time."""
    when = job.occurrence.due_at.replace(tzinfo=None).isoformat(timespec="seconds")
    return f"reminder/{job.payload.reminder}/{when}Z"


def notice_of(due: DueReminder, cause: str) -> Notice:
    """What the user is told."""
    timezone = due.errand.user.timezone
    lines = [f"Due {_local(Due(due.due_at, due.due_day), timezone)}."] if due.due_at else ["A reminder."]
    if due.late:
        lines.append(f"This reminder is late: it was for {_local(Due(due.remind_at), timezone)}.")
    return Notice(due.errand.user.id, cause, due.title, " ".join(lines))


def _local(due: Due, timezone: str) -> str:
    return nominal_of(due, timezone).replace("T", " ")


def summary(taken: list[Taken]) -> str:
    """What a dispatch took, in counts."""
    late, refused = sum(one.late for one in taken), sum(one.occurrence_id is None for one in taken)
    return f"{len(taken)} reminders due, {late} late, {refused} not sent"
