"""Digests and calendar reports, from values to a rendered mail. Pure but for reading the templates."""

from .compose import compose
from .envelope import as_bytes, build_email, message_id_for
from .events import EventReport, compose_events
from .model import Counts, Digest, Recipient, Row, Section, Thread
from .render import Rendered, render, render_events
from .window import Window

__all__ = [
    "Counts",
    "Digest",
    "EventReport",
    "Recipient",
    "Rendered",
    "Row",
    "Section",
    "Thread",
    "Window",
    "as_bytes",
    "build_email",
    "compose",
    "compose_events",
    "message_id_for",
    "render",
    "render_events",
]
