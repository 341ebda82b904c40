"""What Acme's office hears of: hooks, which can neither change nor stop a job."""

import logging
from collections.abc import Sequence

from gda.hooks import Hooks
from gda.lifecycle import Claim, Settlement

log = logging.getLogger("acme_jobs")


async def count_enqueued(kind: str, ids: Sequence[str]) -> None:
    """Say how many were enqueued."""
    log.warning("%d of kind %s enqueued", len(ids), kind)


async def call_for_help(claim: Claim, settlement: Settlement) -> None:
    """Say which occurrence gave up and why."""
    log.error("%s gave up: %s", claim.occurrence.id, settlement.dead_reason)


NEWS = Hooks(on_enqueue=(count_enqueued,), on_dead=(call_for_help,))
