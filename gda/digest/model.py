"""A digest as values: what is listed, in which order, in which words. Rendering adds nothing but looks."""

from dataclasses import dataclass

from .window import Window


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a digest is for; ``timezone`` is an IANA name and ``name`` may be empty."""

    email: str
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Row:
    """One listed message; every text is one safe line, not yet escaped.

    ``time`` is the local time of arrival (``09:14``, ``Sat 22:05`` or ``7 Mar``); ``placeholder`` says that sender or
    subject was missing in the mail.
    """

    message_id: str
    sender: str
    email: str
    subject: str
    time: str
    attachments: tuple[str, ...]
    placeholder: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation: its listed messages, newest first, one summary, and a link to it (or nothing)."""

    thread_id: str
    summary: str
    rows: tuple[Row, ...]
    score: int
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its threads in reading order; ``hidden`` messages are counted, not listed."""

    key: str
    title: str
    threads: tuple[Thread, ...]
    listed: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages the window held, how many are listed, and how many lacked a sender or a subject."""

    messages_in: int
    messages_listed: int
    hidden: int
    threads: int
    placeholders: int
    needs_you: int


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything a template needs; ``date``, ``time`` and ``greeting`` are in the recipient's own timezone."""

    recipient: Recipient
    window: Window
    label: str
    date: str
    time: str
    greeting: str
    sections: tuple[Section, ...]
    counts: Counts
