"""Novel events: what is new, moved, cancelled or in conflict in a user's calendars, mailed once per slot.

The mail is journalled as a digest is. What was seen in the calendars, and the tokens from which their next changes
count, move in the transaction that confirms the send, so that a change is told in exactly one report.
"""

from datetime import timedelta

from gda.declare import job_type
from gda.digest import Recipient, as_bytes, build_email, compose_events, message_id_for, render_events
from gda.errors import InDoubt, ProviderError
from gda.google.calendar import Calendar
from gda.google.gmail import Gmail
from gda.job import Job
from gda.jobs import NOVEL_EVENTS
from gda.jobs.changes import News, gather
from gda.jobs.digest import EARLIER_RECHECK, DigestTools, open_tools
from gda.lifecycle import IN_DOUBT_RECHECK
from gda.outcome import Done, Outcome, Skip, Snooze
from gda.store import CalendarMemory, Effect, Errand, Intent

NOTHING_NEW = "nothing new in your calendars"


async def report(tools: DigestTools, job: Job) -> Outcome:
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
    errand = await tools.store.effects.errand(job.claim)
    if errand.effect is None and (earlier := errand.earlier) is not None:
        # Whatever the earlier one tells, this one must not; a resumed report was fixed before.
        until = max(earlier.ready_at, errand.now + EARLIER_RECHECK)
        return Snooze(until, f"waits until slot {earlier.slot} of the same schedule has settled")
    gmail, calendar = await tools.mailboxes.open_with_calendars(errand)
    if errand.effect is None:
        return await send_new(tools, job, errand, gmail, calendar)
    return await resume(tools, job, errand, errand.effect, gmail)


novel_events = job_type(
    kind=NOVEL_EVENTS, once_per="slot", tools=open_tools, flow="flows.novel_events.report_novel_events"
)(report)
"""The kind as everybody declares one."""


async def send_new(tools: DigestTools, job: Job, errand: Errand, gmail: Gmail, calendar: Calendar) -> Outcome:
    """First attempt to get this far: find the changes, then send."""
    occurrence = job.occurrence
    # An extra report stands beside the schedule: it tells of the last day and neither knows nor moves the memory.
    memory = CalendarMemory() if occurrence.extra else await tools.store.seen_events.recall(job.claim)
    news = await gather(calendar, memory, due_at=occurrence.due_at, now=errand.now, timezone=occurrence.timezone)
    if not news.changes:
        if not occurrence.extra:
            await tools.store.seen_events.advance(job.claim, news.step)
        return Skip(NOTHING_NEW)
    return await send(tools, job, errand, gmail, news)


async def resume(tools: DigestTools, job: Job, errand: Errand, effect: Effect, gmail: Gmail) -> Outcome:
    """An earlier attempt got as far as an intent: find out what became of it, then finish."""
    news = News.from_json(effect.content)
    if effect.state == "confirmed":
        return Done(_summary(news))
    if effect.state == "intent":
        if await gmail.find_sent(effect.reference, job.occurrence.id, effect.intent_at):
            return await confirm(tools, job, news, "found in the mailbox")
        settled_at = effect.intent_at + timedelta(seconds=tools.settings.mail_settling_seconds)
        if errand.now < settled_at:
            return Snooze(min(settled_at, errand.now + IN_DOUBT_RECHECK), "in doubt: the mail may still appear")
    return await send(tools, job, errand, gmail, news)


async def send(tools: DigestTools, job: Job, errand: Errand, gmail: Gmail, news: News) -> Outcome:
    """Render, write the intent, send under a checked lease, confirm."""
    message_id = message_id_for(job.occurrence.id, tools.sender_address.partition("@")[2])
    raw = write_mail(tools, job, errand, news, message_id)
    busy = timedelta(seconds=tools.settings.smtp_timeout_seconds)
    effect = await tools.store.effects.intend(Intent(job.claim, message_id, news.to_json(), busy))
    try:
        reply = await tools.smtp.send(
            raw, sender=tools.sender_address, recipient=errand.user.email, check=job.still_mine
        )
    except InDoubt:
        # The mail may have arrived although its receipt did not: the mailbox often knows at once.
        if not await gmail.find_sent(message_id, job.occurrence.id, effect.intent_at):
            raise
        reply = "found in the mailbox"
    except ProviderError:
        await tools.store.effects.refuse(job.claim)
        raise
    return await confirm(tools, job, news, reply)


async def confirm(tools: DigestTools, job: Job, news: News, reply: str) -> Done:
    """Write that the mail is delivered, and move the schedule's memory in the same transaction."""
    await tools.store.seen_events.confirm(job.claim, reply, None if job.occurrence.extra else news.step)
    return Done(_summary(news))


def write_mail(tools: DigestTools, job: Job, errand: Errand, news: News, message_id: str) -> bytes:
    """The mail's bytes; equal for every attempt at the same news."""
    user = errand.user
    recipient = Recipient(user.email, user.name, job.occurrence.timezone)
    composed = compose_events(
        news.changes,
        recipient=recipient,
        label=job.occurrence.slot or "",
        now=news.step.at,
        calendars=news.calendars,
    )
    mail = build_email(
        render_events(composed),
        sender=tools.settings.mail_from,
        recipient=recipient,
        message_id=message_id,
        occurrence_id=job.occurrence.id,
        date=news.step.at,
    )
    return as_bytes(mail)


def _summary(news: News) -> str:
    return f"{len(news.changes)} change{'s' if len(news.changes) != 1 else ''}"
