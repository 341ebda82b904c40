"""From the messages of a window to a digest: grouped by thread and sender, ranked, summarised, counted. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from gda.errors import UsageError
from gda.mail import Message
from gda.schedule import zone

from .dates import DAYS, MONTHS, greeting, long_date, nominal
from .model import Counts, Digest, Recipient, Row, Section, Thread
from .rank import NEEDS_YOU, score
from .summary import LIMIT, summarise
from .window import Window

# Gmail clips a mail past 102 kB; a listed message takes about 1.5 kB.
MAX_MESSAGES = 50
_BULK_LIMIT = 140
_TITLES = {"needs-you": "Needs you", "conversations": "Conversations", "notices": "Newsletters and notices"}


def compose(
    messages: Iterable[Message],
    *,
    recipient: Recipient,
    window: Window,
    label: str,
    max_messages: int = MAX_MESSAGES,
    web_mail: str = "",
) -> Digest:
    """Arrange ``messages`` for ``recipient``; every one is listed with its sender and subject, up to ``max_messages``.

    ``label`` is the nominal local slot (``2026-03-08T07:30``); ``web_mail`` is an https address that a thread id can
    be appended to, or nothing for a digest without links. The caller leaves out GDA's own mail. The same input gives
    the same digest. Raises ``UsageError`` where ``max_messages`` is below 1 or ``web_mail`` is not https.
    """
    if max_messages < 1:
        raise UsageError(f"max_messages is {max_messages}; a digest lists at least one message, so pass 1 or more.")
    if web_mail and not web_mail.startswith("https://"):
        raise UsageError("A web mail address must start with https://; leave it empty for a digest without links.")
    unique = {message.id: message for message in messages}
    local = zone(recipient.timezone)
    now = nominal(label) or window.until.astimezone(local)
    scored = _threads(unique.values(), recipient, window)
    sections = _sections(scored, local, now, max_messages, web_mail)
    listed = sum(section.listed for section in sections)
    counts = Counts(
        messages_in=len(unique),
        messages_listed=listed,
        hidden=len(unique) - listed,
        threads=len(scored),
        placeholders=sum(bool(message.placeholders) for message in unique.values()),
        needs_you=sum(_section_of(points, group) == "needs-you" for points, group in scored),
    )
    date = long_date(now)
    return Digest(recipient, window, label, date, f"{now:%H:%M}", greeting(now.hour), sections, counts)


_Scored = tuple[int, list[Message]]


def _threads(messages: Iterable[Message], recipient: Recipient, window: Window) -> list[_Scored]:
    threads: dict[str, list[Message]] = {}
    for message in messages:
        threads.setdefault(message.thread_id or message.id, []).append(message)
    for thread in threads.values():
        thread.sort(key=lambda message: (message.received_at, message.id), reverse=True)
    return [
        (score(thread, email=recipient.email, since=window.since, until=window.until), thread)
        for thread in threads.values()
    ]


def _section_of(points: int, thread: Sequence[Message]) -> str:
    if all(message.bulk for message in thread):
        return "notices"
    return "needs-you" if points >= NEEDS_YOU else "conversations"


def _sections(scored: list[_Scored], zone: ZoneInfo, now: datetime, budget: int, web_mail: str) -> tuple[Section, ...]:
    by_key: dict[str, list[_Scored]] = {key: [] for key in _TITLES}
    for points, thread in scored:
        by_key[_section_of(points, thread)].append((points, thread))
    sections = []
    for key, members in by_key.items():
        if not members:
            continue
        threads = []
        listed = 0
        for points, thread in _in_reading_order(members):
            shown = thread[: max(budget - listed, 0)]
            listed += len(shown)
            if shown:
                threads.append(_thread(points, thread, shown, zone, now, web_mail))
        budget -= listed
        total = sum(len(thread) for _, thread in members)
        sections.append(Section(key, _TITLES[key], tuple(threads), listed, total - listed))
    return tuple(sections)


def _in_reading_order(members: list[_Scored]) -> list[_Scored]:
    """Best first, but threads of one sender next to each other, at the place of that sender's best."""
    keyed = [
        (_sender_key(thread[0]), (points, thread[0].received_at.timestamp()), thread) for points, thread in members
    ]
    best: dict[str, tuple[int, float]] = {}
    for sender, rank, _ in keyed:
        best[sender] = max(best.get(sender, (0, 0.0)), rank)

    def place(member: tuple[str, tuple[int, float], list[Message]]) -> tuple[float | str, ...]:
        sender, (points, moment), thread = member
        group, latest = best[sender]
        return (-group, -latest, sender, -points, -moment, thread[0].id)

    return [(points, thread) for _, (points, _), thread in sorted(keyed, key=place)]


def _sender_key(message: Message) -> str:
    return message.sender.email.lower() or message.sender.name


def _thread(
    points: int, whole: Sequence[Message], shown: Sequence[Message], zone: ZoneInfo, now: datetime, web_mail: str
) -> Thread:
    newest = whole[0]
    limit = _BULK_LIMIT if newest.bulk else LIMIT
    attachments = [name for message in whole[:3] for name in message.attachments]
    return Thread(
        thread_id=newest.thread_id,
        summary=summarise([message.text for message in whole[:3]], attachments, limit),
        rows=tuple(_row(message, zone, now) for message in shown),
        score=points,
        url=web_mail + quote(newest.thread_id, safe="") if web_mail and newest.thread_id else "",
    )


def _row(message: Message, zone: ZoneInfo, now: datetime) -> Row:
    return Row(
        message_id=message.id,
        sender=message.sender.shown,
        email=message.sender.email if message.sender.email != message.sender.shown else "",
        subject=message.subject,
        time=_when(message.received_at.astimezone(zone), now),
        attachments=message.attachments,
        placeholder=bool(message.placeholders),
    )


def _when(local: datetime, now: datetime) -> str:
    days = (now.date() - local.date()).days
    clock = f"{local.hour:02}:{local.minute:02}"
    if days <= 0:
        return clock
    if days < 7:
        return f"{DAYS[local.weekday()][:3]} {clock}"
    return f"{local.day} {MONTHS[local.month - 1][:3]}" + ("" if local.year == now.year else f" {local.year}")
