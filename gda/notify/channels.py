"""What notices go through: opened once for each flow run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gda.delivery.smtp import SmtpPool
from gda.settings import Settings
from gda.store import Store


@dataclass(frozen=True, slots=True)
class Channels:
    """The in-app inbox, which lies in the store, and the mail server; without one nothing is mailed."""

    settings: Settings
    store: Store
    smtp: SmtpPool | None = None


@asynccontextmanager
async def open_channels(settings: Settings, store: Store) -> AsyncIterator[Channels]:
    """Open the channels that the settings name, and close them at the end. Raises UsageError."""
    if not settings.notify_mail:
        yield Channels(settings, store)
        return
    async with SmtpPool(settings) as smtp:
        yield Channels(settings, store, smtp)
