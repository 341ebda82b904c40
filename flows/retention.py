"""Retention: each night, what was settled long ago is forgotten."""

import time
from datetime import timedelta

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

import blocks
from gda.glue.api import require_private_api
from gda.glue.superseding import supersede_late_runs
from gda.store import open_store
from gda.store.retention import Pruned

MOST_SECONDS = 240
"""A run ends before the sweep would take it for a stuck one; the next night goes on."""


@flow(name="retention", version="1", on_running=[supersede_late_runs], persist_result=False)
async def prune_old_rows() -> State[None]:
    """Forget settled occurrences and closed dead letters that are older than the settings keep them."""
    require_private_api()
    settings = await blocks.load_settings()
    keep, letters = timedelta(days=settings.retention_days), timedelta(days=settings.dead_letter_retention_days)
    total, end = Pruned(), time.monotonic() + MOST_SECONDS
    async with open_store(settings) as store:
        while time.monotonic() < end and (part := await store.retention.prune(keep, letters)) != Pruned():
            total += part
    return Completed(message=f"forgot {total.occurrences} occurrences, {total.dead_letters} dead letters")
