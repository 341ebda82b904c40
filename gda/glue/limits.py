"""Named limits of Prefect's: at most so many flow runs of a kind work at once, whichever pools and workers they are in.

One slot is asked for in each flow run, not for each occurrence or call: a slot costs two calls to the Prefect server,
as much as a digest.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gda.settings import Settings

log = logging.getLogger("gda.glue")


def limit_name(kind: str) -> str:
    """What Prefect calls the limit of a kind's flow runs."""
    return f"gda-{kind}-runs"


@asynccontextmanager
async def in_turn(kind: str, settings: Settings) -> AsyncIterator[bool]:
    """Hold one of the kind's slots while the block runs; at once where ``GDA_LIMITS`` names no limit for it.

    A limit spreads load and guards nothing that must not happen twice, so it may not stop work for good: a server that
    is killed forgets who held a slot, and with Prefect's own settings it stays taken then.

    Args:
        kind: the job type's name.
        settings: ``limits``, and ``limit_wait_seconds`` after which the block runs without a slot.

    Yields:
        Whether a slot is held, or none was needed.
    """
    if kind not in settings.limit_of_kind:
        yield True
        return
    from prefect.concurrency.asyncio import concurrency  # Here, for `deployments` takes the name from this module.

    async with AsyncExitStack() as stack:
        slot = concurrency(limit_name(kind), timeout_seconds=settings.limit_wait_seconds)
        try:
            await stack.enter_async_context(slot)
        except TimeoutError:
            waited = f"{settings.limit_wait_seconds:g} s"
            log.warning("no slot of the limit %s came free within %s; working without", limit_name(kind), waited)
            yield False
            return
        yield True
