"""Renewing leases from a thread of its own, so that a busy event loop does not lose its claims."""

import asyncio
import contextlib
import logging
import threading
from types import TracebackType
from typing import Self

from gda.settings import Settings
from gda.store import Store, Worker, make_store, open_database

log = logging.getLogger("gda.heartbeat")


class Heartbeat:
    """While entered, renews every lease of ``worker`` each ``lease_refresh_seconds`` on a connection of its own."""

    def __init__(self, settings: Settings, store: Store, worker: Worker) -> None:
        self._settings = settings
        self._clock = store.database.clock
        self._worker = worker
        self._thread = threading.Thread(target=self._run, name="gda-heartbeat", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()

    async def __aenter__(self) -> Self:
        self._thread.start()
        await asyncio.to_thread(self._started.wait)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # The thread's loop has ended by itself.
                self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        asyncio.run(self._beat())

    async def _beat(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        database = open_database(self._settings.database, clock=self._clock, pool_size=1)
        ledger = make_store(database, self._settings).ledger
        try:
            while not await self._stopped():
                try:
                    await ledger.renew(self._worker)
                except Exception as error:  # A missed beat is survivable; the next one may pass before the lease ends.
                    log.warning("leases could not be renewed (%s); trying again", type(error).__name__)
        finally:
            await database.close()

    async def _stopped(self) -> bool:
        assert self._stop is not None
        try:
            await asyncio.wait_for(self._stop.wait(), self._settings.lease_refresh_seconds)
        except TimeoutError:
            return False
        return True
