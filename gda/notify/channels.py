"""What notices go through: opened once for each flow run."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache

import httpx

from gda.delivery.smtp import SmtpPool
from gda.notify.webpush import PushKey, read_push_key
from gda.settings import Settings
from gda.store import Store
from gda.vault import Vault

INBOX = "inbox"
MAIL = "mail"
PUSH = "push"
CHAT = "chat"
CHANNELS = (INBOX, MAIL, PUSH, CHAT)
"""What a user may prefer; all but the inbox make a noise, and wait while the user wants quiet."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """The way to push services: a client, and the key that tells them who writes."""

    http: httpx.AsyncClient
    key: PushKey


@dataclass(frozen=True, slots=True)
class Channels:
    """The in-app inbox, which lies in the store; the mail server and the push services, where there are any.

    ``vault`` opens chats' and browsers' addresses; it is asked for once one is needed.
    """

    settings: Settings
    store: Store
    smtp: SmtpPool | None = None
    pushes: Pushes | None = None
    vault: Callable[[], Vault] | None = None

    def opened(self, user_id: str, sealed: str) -> str:
        """A sealed address in clear. Raises UsageError."""
        vault = self.vault() if self.vault is not None else Vault.from_settings(self.settings)
        return vault.open(user_id, sealed)


@asynccontextmanager
async def open_channels(settings: Settings, store: Store) -> AsyncIterator[Channels]:
    """Open the channels that the settings name, and close them at the end. Raises UsageError."""
    async with AsyncExitStack() as stack:
        smtp = await stack.enter_async_context(SmtpPool(settings)) if settings.notify_mail else None
        pushes = None
        if private := settings.push_key.get_secret_value():
            http = httpx.AsyncClient(timeout=settings.notify_timeout_seconds, follow_redirects=False)
            pushes = Pushes(await stack.enter_async_context(http), read_push_key(private))
        yield Channels(settings, store, smtp, pushes, cache(lambda: Vault.from_settings(settings)))
