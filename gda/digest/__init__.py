"""Digests: messages of a window to a ranked, summarised, rendered mail. Pure but for reading its templates."""

from .compose import compose
from .envelope import as_bytes, build_email, message_id_for
from .model import Counts, Digest, Recipient, Row, Section, Thread
from .render import Rendered, render
from .window import Window

__all__ = [
    "Counts",
    "Digest",
    "Recipient",
    "Rendered",
    "Row",
    "Section",
    "Thread",
    "Window",
    "as_bytes",
    "build_email",
    "compose",
    "message_id_for",
    "render",
]
