"""Received mail, read without trust: raw bytes to a small frozen ``Message``."""

from .message import NO_SENDER, NO_SUBJECT, Address, Message
from .parse import parse_message

__all__ = ["NO_SENDER", "NO_SUBJECT", "Address", "Message", "parse_message"]
