"""Renewing leases from a thread of its own, so that a busy event loop does not lose its claims.

The same thread watches the process: one whose event loop is blocked for longer than half a lease, or that holds more
memory than it may, ends itself. Its leases are let go first, so that others take over at once; what ran then is a
suspect and runs next alone.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from types import TracebackType
from typing import Self

from gda.settings import Settings
from gda.store import Ledger, Store, Worker, make_store, open_database

log = logging.getLogger("gda.heartbeat")

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: Prefect's worker then calls the flow run crashed."""
LONGEST_LOOK_SECONDS = 1.0
"""Looks come at least this often: a job that eats memory may take hundreds of MiB a second."""


class Heartbeat:
    """While entered, renews every lease of ``worker`` each ``lease_refresh_seconds`` on a connection of its own."""

    def __init__(self, settings: Settings, store: Store, worker: Worker) -> None:
        self._settings = settings
        self._clock = store.database.clock
        self._worker = worker
        self._thread = threading.Thread(target=self._run, name="gda-heartbeat", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._look_seconds = min(settings.lease_refresh_seconds, settings.lease_seconds / 8, LONGEST_LOOK_SECONDS)
        self._unanswered = 0

    async def __aenter__(self) -> Self:
        self._watched = asyncio.get_running_loop()
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
        settings = self._settings
        database = open_database(settings.database, clock=self._clock, pool_size=1, patience=settings.lease)
        ledger = make_store(database, settings).ledger
        since_renewal = 0.0
        try:
            while not await self._stopped():
                if fault := self._fault():
                    await self._end_process(ledger, fault)
                since_renewal += self._look_seconds
                if since_renewal >= self._settings.lease_refresh_seconds:
                    since_renewal = 0.0
                    await self._renew(ledger)
        finally:
            await database.close()

    async def _renew(self, ledger: Ledger) -> None:
        try:
            await ledger.renew(self._worker)
        except Exception as error:  # A missed beat is survivable; the next one may pass before the lease ends.
            log.warning("leases could not be renewed (%s); trying again", type(error).__name__)

    def _fault(self) -> str | None:
        """Why this process must end, if it must."""
        # Counted in looks, not in time: a process that was stopped as a whole (a suspended machine) looked as seldom.
        blocked = self._unanswered * self._look_seconds
        if blocked > self._settings.lease_seconds / 2:
            return f"the event loop was blocked for {blocked:.0f} s, more than half a lease"
        self._unanswered += 1
        if self._watched is not None:
            with contextlib.suppress(RuntimeError):  # The watched loop is closing: nothing of it can block any more.
                self._watched.call_soon_threadsafe(self._answer)
        held, limit = resident_mebibytes(), self._settings.memory_limit_mebibytes
        if limit and held > limit:
            return f"the process held {held} MiB, more than GDA_MEMORY_LIMIT_MEBIBYTES={limit}"
        return None

    def _answer(self) -> None:
        self._unanswered = 0

    async def _end_process(self, ledger: Ledger, fault: str) -> None:
        print(f"gda: ending this process: {fault}; what it ran is tried again alone", file=sys.stderr, flush=True)
        with contextlib.suppress(Exception):  # Where the database is away as well, the leases expire by themselves.
            await asyncio.wait_for(ledger.abandon(self._worker), 5)
        os._exit(EXIT_CODE)

    async def _stopped(self) -> bool:
        assert self._stop is not None
        try:
            await asyncio.wait_for(self._stop.wait(), self._look_seconds)
        except TimeoutError:
            return False
        return True


def resident_mebibytes() -> int:
    """How much memory this process holds now; 0 where the system does not tell (``/proc`` is Linux's)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
