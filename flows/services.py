"""What a flow run works with, opened once per process from blocks, environment and defaults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import blocks
from gda.glue.api import require_private_api
from gda.settings import Settings
from gda.store import Store, open_store


@dataclass(frozen=True, slots=True)
class Services:
    """What every kind's flow run works with."""

    settings: Settings
    store: Store


@asynccontextmanager
async def open_services() -> AsyncIterator[Services]:
    """Open the database, and close it at the end; a kind opens its own tools (``gda.binding.opened``).

    Raises:
        Unavailable: the Prefect API is open to others, or the database is away or of another schema version.
        UsageError: a setting is wrong.
    """
    require_private_api()
    settings = await blocks.load_settings()
    async with open_store(settings) as store:
        yield Services(settings, store)
