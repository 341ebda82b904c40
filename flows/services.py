"""What a flow run works with, opened once per process from blocks, environment and defaults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

import blocks
from gda.delivery.smtp import SmtpPool
from gda.glue.api import require_private_api
from gda.google.http import open_http
from gda.settings import Settings
from gda.store import Store, open_store
from gda.vault import Vault


@dataclass(frozen=True, slots=True)
class Services:
    """The open connections of one flow run."""

    settings: Settings
    store: Store
    vault: Vault
    http: httpx.AsyncClient
    smtp: SmtpPool


@asynccontextmanager
async def open_services() -> AsyncIterator[Services]:
    """Open database, HTTP client and mail connections, and close them at the end.

    Raises:
        Unavailable: the Prefect API is open to others, or the database is away or of another schema version.
        UsageError: a setting is wrong.
    """
    require_private_api()
    settings = await blocks.load_settings()
    async with open_store(settings) as store, open_http(settings) as http, SmtpPool(settings) as smtp:
        yield Services(settings, store, Vault.from_settings(settings), http, smtp)
