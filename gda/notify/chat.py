"""A notice in a chat, through Apprise: Telegram, Slack, Discord and whatever else an address of its can name.

Apprise answers yes or no. Why it says no stands in its log alone: a server's refusal ends with ``error=404.``, and a
connection that was never made names itself. Everything else may have arrived. Its lines quote addresses and content, so
they are heard here and go nowhere else.
"""

import asyncio
import logging
import re
import threading
from typing import TYPE_CHECKING

from gda.errors import InDoubt, Permanent, ProviderError, Transient, UsageError
from gda.notify.steps import Delivery, once

if TYPE_CHECKING:
    from apprise import NotifyBase

STEP = "chat"
_ANSWERED = re.compile(r"error=(\d{3})\b")
_NEVER_SENT = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError")
_LOGGER = "apprise"
_CONNECTIONS = "urllib3.connectionpool"  # Logs the path of a request, where many services want their token.
AGAIN = (408, 425, 429, 503)
"""Answers by which a server says that it did nothing, and may later (RFC 9110, RFC 6585)."""


async def deliver(delivery: Delivery) -> bool:
    """Write into the user's chat, unless that was done; says whether there is one.

    Raises:
        ProviderError: the chat refused.
        Unverifiable: it may have arrived.
        ClaimLost: another worker has taken the occurrence over.
    """
    preference = delivery.errand.preference
    if preference is None or preference.chat_address is None:
        return False
    address = delivery.channels.opened(preference.user_id, preference.chat_address)
    timeout = delivery.channels.settings.notify_timeout_seconds
    await once(delivery, STEP, lambda: send(address, delivery.title, delivery.body, timeout))
    return True


def require_address(address: str) -> None:
    """Refuse what Apprise cannot read. Raises UsageError, which does not repeat the address."""
    if _plugin(address, 1.0) is None:
        raise UsageError(
            "the chat's address is none that Apprise knows: see its list of services for how yours is written, such as "
            "tgram://TOKEN/CHAT, slack://TOKEN/#channel, discord://ID/TOKEN or jsons://HOST/PATH"
        )


async def send(address: str, title: str, body: str, timeout: float) -> str:
    """Send once.

    Args:
        address: an Apprise URL, in clear.
        title: one line.
        body: plain text.
        timeout: seconds for the connection, and for each part of the answer.

    Raises:
        Transient, Permanent: it is known not to have arrived.
        InDoubt: it may have arrived.
    """
    try:
        async with asyncio.timeout(3 * timeout):
            problem = await asyncio.to_thread(_send, address, title, body, timeout)
    except TimeoutError:
        problem = InDoubt("chat: no answer in time")
    if problem is not None:
        raise problem
    return "accepted"


def _send(address: str, title: str, body: str, timeout: float) -> ProviderError | InDoubt | None:
    plugin = _plugin(address, timeout)
    if plugin is None:
        return Permanent("chat: the stored address is none that Apprise knows; set it anew")
    with _EAR as lines:
        try:
            if plugin.notify(body=body, title=title):
                return None
        except Exception as error:  # A plugin's own fault; its text may quote the address.
            return InDoubt(f"chat: {type(error).__name__}")
    return meaning(lines)


def meaning(lines: list[str]) -> ProviderError | InDoubt:
    """What Apprise's lines say of a notification that it did not get through."""
    statuses = [int(found[1]) for line in lines if (found := _ANSWERED.search(line))]
    if statuses:
        status = statuses[-1]
        if status in AGAIN:
            return Transient(f"chat: HTTP {status}")
        return InDoubt(f"chat: HTTP {status}") if status >= 500 else Permanent(f"chat: HTTP {status}")
    if any(word in line for line in lines for word in _NEVER_SENT):
        return Transient("chat: no connection")
    return InDoubt("chat: no clear answer")


def _plugin(address: str, timeout: float) -> "NotifyBase | None":
    from apprise import Apprise

    with _EAR:
        plugin = Apprise.instantiate(address, suppress_exceptions=True)
    if plugin is not None:
        plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout
    return plugin


class _Ear(logging.Filter):
    """Hears Apprise's lines, each thread its own; a filter, so that no handler gets them, wherever it was put."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = threading.local()

    def __enter__(self) -> list[str]:
        for name in (_LOGGER, _CONNECTIONS):
            logging.getLogger(name).addFilter(self)
        # Each time: whoever configures logging later may have set it back.
        logging.getLogger(_LOGGER).setLevel(logging.DEBUG)
        self._heard.lines = []
        lines: list[str] = self._heard.lines
        return lines

    def __exit__(self, *error: object) -> None:
        self._heard.lines = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a line for the thread that caused it, and from everyone else; other users of urllib3 keep theirs."""
        lines = getattr(self._heard, "lines", None)
        if lines is not None and record.name == _LOGGER:
            lines.append(record.getMessage())
        return lines is None and record.name != _LOGGER


_EAR = _Ear()
