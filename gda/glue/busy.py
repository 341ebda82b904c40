"""Asking a busy Prefect server again for the part of a bulk call that it refused."""

from collections.abc import AsyncIterator

import stamina

from gda.errors import Transient

TRIES = 3
"""A server on SQLite refuses a write at once where another one came between it and what it had read before."""


async def tries() -> AsyncIterator[stamina.Attempt]:
    """Attempts, within each of which ``Transient`` means once more; the last one raises it."""
    async for attempt in stamina.retry_context(on=Transient, attempts=TRIES, wait_initial=0.2, wait_max=1.0):
        yield attempt
