"""Leadership: hold a named lease while work goes on, refreshed in the background, and hear when it comes and goes."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from gda.errors import NotLeader
from gda.store.leases import Leases, NamedLease

log = logging.getLogger("gda.leadership")


class Leadership:
    """While entered, tries to hold lease ``name``: refreshes it each third of ``ttl``, or waits for it to come free.

    Args:
        leases: where it is kept.
        name: what for.
        owner: who; unique per process and task.
        ttl: how long the lease lasts when this process goes away.
        on_change: told True when leadership is won, False when it is lost.
        seize: take it from any holder when entered, because this is the only instance.
    """

    def __init__(
        self,
        leases: Leases,
        name: str,
        owner: str,
        ttl: timedelta,
        *,
        on_change: Callable[[bool], None] | None = None,
        seize: bool = False,
    ) -> None:
        self._leases = leases
        self._name = name
        self._owner = owner
        self._ttl = ttl
        self._on_change = on_change or (lambda leading: None)
        self._seize = seize
        self._lease: NamedLease | None = None
        self._held_until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def leading(self) -> bool:
        """Whether the lease is held now."""
        # The monotonic clock only ends leadership early, when refreshes fail; it is never compared with the lease.
        return self._lease is not None and time.monotonic() < self._held_until

    def require(self) -> None:
        """Make sure that the lease is held. Raises NotLeader."""
        if not self.leading:
            raise NotLeader(
                f"another instance holds the lease {self._name!r} and does this work now; if it died, the lease ends "
                f"within {self._ttl.total_seconds():g} s: try again then"
            )

    async def __aenter__(self) -> Self:
        await self._acquire(seize=self._seize)
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._lease is not None:
            await self._leases.release(self._lease)
            self._become(None)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._ttl.total_seconds() / 3)
            try:
                await (self._refresh() if self._lease else self._acquire(seize=False))
            except Exception as error:  # A missed refresh is survivable while the lease lasts.
                log.warning("lease %s could not be refreshed (%s); trying again", self._name, type(error).__name__)
                if self._lease is not None and not self.leading:
                    self._become(None)

    async def _acquire(self, *, seize: bool) -> None:
        asked = time.monotonic()
        self._become(await self._leases.acquire(self._name, self._owner, self._ttl, seize=seize), asked)

    async def _refresh(self) -> None:
        assert self._lease is not None
        asked = time.monotonic()
        self._become(await self._leases.refresh(self._lease, self._ttl), asked)

    def _become(self, lease: NamedLease | None, asked: float = 0.0) -> None:
        changed = (self._lease is None) != (lease is None)
        self._lease, self._held_until = lease, asked + self._ttl.total_seconds()
        if changed:
            self._on_change(lease is not None)
