"""A digest as a mail: subject, HTML and text. Templates are fixed; no text of a mail is ever read as a template."""

from dataclasses import dataclass

from .events import EventReport
from .model import Digest
from .pages import pages


@dataclass(frozen=True, slots=True)
class Rendered:
    """One digest ready to be sent; ``subject`` is one line."""

    subject: str
    html: str
    text: str


def render(digest: Digest) -> Rendered:
    """Render a digest that lists at least one message; an empty window is the caller's ``Skip``, not an empty mail.

    Every sender and subject appears verbatim (escaped in HTML), and each listed message's row carries its Gmail id in
    ``data-gda-message``. The HTML has no script, no form, no remote resource, and one style element of our own for dark
    mode and narrow screens; all other styles are inline.
    """
    page, plain = pages("digest")
    subject = _subject(digest)
    context = {"digest": digest, "subject": subject, "preheader": _preheader(digest)}
    return Rendered(subject, page.render(context), plain.render(context))


def render_events(report: EventReport) -> Rendered:
    """Render a report that lists at least one change; each row carries its fingerprint in ``data-gda-event``.

    The same rules hold as for a digest: titles appear verbatim (escaped in HTML), and nothing in the page is active.
    """
    page, plain = pages("events")
    changes = f"{report.total} change{'s' if report.total != 1 else ''}"
    conflicts = f", {report.conflicts} in conflict" if report.conflicts else ""
    day, month = report.date.split()[1:3]
    subject = f"Your calendar for {report.date.split()[0]} {day} {month}: {changes}{conflicts}"
    first = [row for section in report.sections for row in section.rows][:3]
    preheader = " · ".join(f"{row.title}: {row.when}" for row in first)[:200]
    context = {"report": report, "subject": subject, "preheader": preheader}
    return Rendered(subject, page.render(context), plain.render(context))


def _subject(digest: Digest) -> str:
    total = digest.counts.messages_in
    waiting = digest.counts.needs_you
    day, month = digest.date.split()[1:3]
    tail = f", {waiting} {'needs' if waiting == 1 else 'need'} you" if waiting else ""
    return (
        f"Your digest for {digest.date.split()[0]} {day} {month}: {total} new message{'s' if total != 1 else ''}{tail}"
    )


def _preheader(digest: Digest) -> str:
    tops = [thread.rows[0] for section in digest.sections for thread in section.threads]
    return " · ".join(f"{row.sender}: {row.subject}" for row in tops[:3])[:200]
