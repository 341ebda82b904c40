"""Novel events: what is new, moved, cancelled or in conflict in a user's calendars, mailed once per slot.

How the mail is sent once is said in ``gda.jobs.mailing``. What was seen in the calendars, and the tokens from which
their next changes count, move in the transaction that confirms the send, so that a change is told in exactly one
report.
"""

from dataclasses import dataclass
from typing import Any

from gda.declare import job_type
from gda.digest import compose_events, render_events
from gda.google.calendar import Calendar
from gda.job import Job
from gda.jobs import NOVEL_EVENTS
from gda.jobs.changes import News, gather
from gda.jobs.mailing import Mailing, MailTools, open_tools, resume, send, wait_for_earlier
from gda.outcome import Outcome, Skip
from gda.store import CalendarMemory

NOTHING_NEW = "nothing new in your calendars"


async def report(tools: MailTools, job: Job) -> Outcome:
    """Tell one user what changed in the calendars.

    Args:
        tools: the process's tools.
        job: the attempt.

    Returns:
        Done when the mail is known to be delivered, Skip when there is nothing to tell, Snooze while it is in doubt.

    Raises:
        ProviderError: Google or the mail server refused or failed.
        ClaimLost: another worker has taken the occurrence over.
    """
    errand = await tools.store.errands.errand(job.claim)
    if wait := wait_for_earlier(errand):
        return wait
    gmail, calendar = await tools.mailboxes.open_with_calendars(errand)
    mailing = Mailing(tools, job, errand, gmail)
    if errand.effect is None:
        return await send_new(mailing, calendar)
    return await resume(mailing, errand.effect, EventLetter(mailing, News.from_json(errand.effect.content)))


novel_events = job_type(
    kind=NOVEL_EVENTS, once_per="slot", tools=open_tools, flow="flows.novel_events.report_novel_events"
)(report)
"""The kind as everybody declares one."""


async def send_new(mailing: Mailing, calendar: Calendar) -> Outcome:
    """First attempt to get this far: find the changes, then send."""
    store, job, occurrence = mailing.tools.store, mailing.job, mailing.job.occurrence
    # An extra report stands beside the schedule: it tells of the last day and neither knows nor moves the memory.
    memory = CalendarMemory() if occurrence.extra else await store.seen_events.recall(job.claim)
    now = mailing.errand.now
    news = await gather(calendar, memory, due_at=occurrence.due_at, now=now, timezone=occurrence.timezone)
    if not news.changes:
        if not occurrence.extra:
            await store.seen_events.advance(job.claim, news.step)
        return Skip(NOTHING_NEW)
    return await send(mailing, EventLetter(mailing, news))


@dataclass(frozen=True, slots=True)
class EventLetter:
    """The report of some news."""

    mailing: Mailing
    news: News

    @property
    def content(self) -> dict[str, Any]:
        """The news whole: a calendar does not show again what has changed once more."""
        return self.news.to_json()

    @property
    def summary(self) -> str:
        """How many changes it tells."""
        count = len(self.news.changes)
        return f"{count} change{'s' if count != 1 else ''}"

    async def write(self, message_id: str) -> bytes:
        """The mail's bytes; equal for every attempt at the same news."""
        news, mailing = self.news, self.mailing
        composed = compose_events(
            news.changes,
            recipient=mailing.recipient,
            label=mailing.job.occurrence.slot or "",
            now=news.step.at,
            calendars=news.calendars,
        )
        return mailing.finished(render_events(composed), message_id, news.step.at)

    async def confirm(self, reply: str) -> None:
        """Write that it is delivered and what is remembered from then on."""
        job = self.mailing.job
        step = None if job.occurrence.extra else self.news.step
        await self.mailing.tools.store.seen_events.confirm(job.claim, reply, step)
