"""What both scans over to-dos share: batch after batch, each a transaction of its own, until nothing is found."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from gda.settings import Settings
from gda.store import Store

MOST_SECONDS = 240
"""A scan ends before the sweep would take its run for a stuck one; the next goes on."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ScanTools:
    """What a scan works with."""

    settings: Settings
    store: Store


@asynccontextmanager
async def open_tools(settings: Settings, store: Store) -> AsyncIterator[ScanTools]:
    """Put them together."""
    yield ScanTools(settings, store)


async def until_empty(batch: Callable[[], Awaitable[Sequence[Found]]], *, seconds: float = MOST_SECONDS) -> list[Found]:
    """Everything that batches find, up to the first empty one or for so many seconds.

    Raises:
        Exception: whatever a batch raises; what earlier ones wrote stands.
    """
    found: list[Found] = []
    end = time.monotonic() + seconds
    while part := await batch():
        found += part
        if time.monotonic() >= end:
            break
    return found
