"""Worker processes that stop at a chosen step: ``python -m tests.chaos.worker`` reads one order per line from stdin.

Each order is a process of its own, forked when everything is imported already, so that hundreds of them are cheap. A
line with its process id is written when it starts, another one with its exit status when it ended. A *step* is one call
to the database, to Google or to the mail server, made by the main thread; heartbeats have a thread of their own and do
not count.
"""

import asyncio
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiosmtplib
import httpx
from aiosmtplib.protocol import SMTPProtocol
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.binding import bind, opened
from gda.delivery import smtp
from gda.enqueue import NewJob, OnConflict, Unique, enqueue
from gda.job import Job, JobType
from gda.jobs import DIGEST
from gda.jobs.digest import digest
from gda.jobs.mailing import open_tools
from gda.jobs.token_refresh import promise_batch, token_refresh
from gda.lifecycle import Status
from gda.outcome import Done, Outcome
from gda.registry import load_registry
from gda.retry import RetryPolicy
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.stopping import stopped_by
from gda.store import Scope, Store, Waker, Worker, open_store
from gda.store.database import Database

ONCE = Unique("once", OnConflict.KEEP, tuple(Status))
LONGEST_LINE = 200
CONTENT_BYTES = 1000
"""A mail is longer, a command of SMTP is shorter."""


class Stopped(BaseException):
    """What ends a worker that was asked to stop, as Prefect's own signal does."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one worker shall do, and at which step which signal hits it (0: none)."""

    owner: str
    settings: dict[str, Any]
    user: str | None = None
    noop_seconds: float | None = None
    """Perform jobs that do nothing for so long instead of digests."""
    crowded: bool = False
    """Perform digests in chunks, as a flow run does that finds a crowd of them."""
    step: int = 0
    signal: int = signal.SIGKILL
    clock_minutes: float = 0
    """How far this process's own clock is off."""
    claim_only: bool = False
    refresh: bool = False
    """Promise and refresh tokens that soon expire, beside the digests."""
    enqueue: bool = False
    """Enqueue the user's job first, as a program does."""
    watched: str = "all"
    """Which calls count: ``all``, ``abroad`` (Google and the mail server's commands), ``content`` (of the mail: once
    the permission to send it is there) or ``halfway`` (in the middle of it)."""


@dataclass(slots=True)
class Steps:
    """Counts calls to the outside and sends this process a signal right before the chosen one."""

    fatal: int
    signal: int
    count: int = field(default=0)
    writing: int = 0
    """How many transactions of the main thread may write now."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last of them has ended."""
    beating: threading.Lock = field(default_factory=threading.Lock)
    """Held by the heartbeat while it writes."""

    def one(self, *_: Any, **__: Any) -> None:
        """Count one call of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        self.count += 1
        if self.count == self.fatal:
            with self.beating:
                os.kill(os.getpid(), self.signal)

    def watch(self, watched: str) -> None:
        """Count the calls that ``watched`` names from now on."""
        if watched != "all":
            self._note_writes()
        if watched == "halfway":
            self._halve()
            return
        if watched == "all":
            event.listen(Engine, "before_cursor_execute", self.one)
            event.listen(Engine, "commit", self.one)
        if watched != "content":
            self._count(httpx.AsyncHTTPTransport, "handle_async_request")
            self._count(aiosmtplib.SMTP, "execute_command")
        if watched != "abroad":
            # The content itself: between the permission to send it and its receipt.
            self._count(smtp, "_deliver")

    def _note_writes(self) -> None:
        # Whoever stands still within a transaction, if only the heartbeat's or a claim's, keeps all others from SQLite.
        original = Database.write

        @asynccontextmanager
        async def write(database: Database) -> AsyncIterator[AsyncConnection]:
            if threading.current_thread() is not threading.main_thread():
                with self.beating:
                    async with original(database) as connection:
                        yield connection
                return
            self.writing += 1
            self.idle.clear()
            try:
                async with original(database) as connection:
                    yield connection
            finally:
                self.writing -= 1
                if not self.writing:
                    self.idle.set()

        Database.write = write  # type: ignore[method-assign]

    def _halve(self) -> None:
        original = SMTPProtocol.write

        def halved(protocol: SMTPProtocol, data: bytes) -> None:
            if len(data) < CONTENT_BYTES:
                original(protocol, data)
                return
            original(protocol, data[: len(data) // 2])
            self.one()
            original(protocol, data[len(data) // 2 :])

        SMTPProtocol.write = halved  # type: ignore[method-assign]

    def _count(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        async def counted(*arguments: Any, **named: Any) -> Any:
            while self.writing and self.count + 1 == self.fatal:
                await self.idle.wait()
            self.one()
            return await original(*arguments, **named)

        setattr(owner, name, counted)


async def obey(order: Order) -> int:
    """Do what the order says; returns how many steps it took."""
    settings = Settings(**order.settings)
    steps = Steps(order.step, order.signal)
    steps.watch(order.watched)
    scope = Scope("digest", user_id=order.user)
    async with open_store(settings) as store:
        worker = Worker(order.owner)
        if order.enqueue:
            await enqueue_once(store, settings, str(order.user))
        if order.claim_only:
            while claims := await store.ledger.claim(scope, worker, limit=7):
                for claim in claims:
                    tell({"claimed": claim.occurrence.id})
            return steps.count
        async with open_tools(settings, store) as tools:
            job_type = bind(digest, settings, tools) if order.noop_seconds is None else idle(order.noop_seconds)
            job_type = job_type.in_crowd() if order.crowded else job_type
            desk = Desk(store, job_type, settings, random.Random(), (KeyboardInterrupt, Stopped))
            call = WakeUp(scope, worker, Waker("drain"))
            async with stopped_by(signal.SIGTERM, Stopped):
                refreshing = asyncio.create_task(refresh(store, settings, worker)) if order.refresh else None
                await wake(desk, call, lambda claim: settle_alone(desk, claim))
                if refreshing:
                    await refreshing
    return steps.count


async def refresh(store: Store, settings: Settings, worker: Worker) -> None:
    """Do what the flow of token refresh does, until nothing of it is left."""
    while await promise_batch(store, settings, Waker("schedule")):
        pass
    async with opened(token_refresh, settings, store) as job:
        desk = Desk(store, job, settings)
        call = WakeUp(Scope(token_refresh.kind), Worker(f"{worker.owner}-tokens"), Waker("drain"))
        while (await wake(desk, call, lambda claims: settle_alone(desk, claims))).performed:
            pass


async def enqueue_once(store: Store, settings: Settings, user: str) -> None:
    """Enqueue a digest for the user as a program does that does not know whether it did so before."""
    await enqueue(store.queue, load_registry(), settings, NewJob(DIGEST, user_id=user, unique=ONCE))


def tell(news: dict[str, Any]) -> None:
    """Write one line in one piece: all processes share the pipe, and ``print`` writes the line's end by itself."""
    os.write(1, (json.dumps(news) + "\n").encode())


def idle(seconds: float) -> JobType:
    """A job type whose body only waits."""

    async def perform(_: Job) -> Outcome:
        await asyncio.sleep(seconds)
        return Done()

    return JobType("digest", perform, RetryPolicy(in_run_retries=0))


def stop(*_: object) -> None:
    """Stop as a flow run does."""
    raise Stopped


def child(order: Order) -> None:
    """Run one order in this process and end it."""
    signal.signal(signal.SIGTERM, stop)
    faulthandler.register(signal.SIGUSR1)
    if order.clock_minutes:
        shift_clock(order.clock_minutes * 60)
    try:
        steps = asyncio.run(obey(order))
    except BaseException as error:
        stopped = isinstance(error, Stopped) or (isinstance(error, BaseExceptionGroup) and error.subgroup(Stopped))
        if not stopped:
            first = innermost(error)
            line = f"{order.owner} ended with {type(first).__name__}: {first}".partition("\n")[0]
            os.write(2, line[:LONGEST_LINE].encode() + b"\n")
        os._exit(0 if stopped else 1)
    tell({"owner": order.owner, "steps": steps})
    os._exit(0)


def innermost(error: BaseException) -> BaseException:
    """The first error of a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def shift_clock(seconds: float) -> None:
    """Make this process believe in another time of day; the database keeps its own."""
    real = time.time
    time.time = lambda: real() + seconds


def main() -> None:
    """Fork a process for each order that comes in, and tell of its end."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            child(order)
        tell({"owner": order.owner, "pid": pid})
        threading.Thread(target=reap, args=(order.owner, pid)).start()


def reap(owner: str, pid: int) -> None:
    """Tell how a process ended."""
    _, status = os.waitpid(pid, 0)
    tell({"owner": owner, "ended": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
