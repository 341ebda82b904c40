"""One process, one event loop: HTTP and SMTP on loopback until told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvicorn

from gda.errors import Unavailable
from gda.sandbox.app import create_app
from gda.sandbox.smtp import IDLE_SECONDS, sink_protocol
from gda.sandbox.state import Sandbox

_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How a sandbox is started.

    Attributes:
        host: address to bind; anything but loopback opens every sandbox mailbox to that network.
        http_port: port of the HTTP server; 0: a free one.
        smtp_port: port of the mail sink; 0: a free one.
        accounts: accounts to open, each an address and its mail: a folder of ``.eml`` and ``.ics``, a Maildir, an mbox
            or a calendar file, or None for an empty mailbox.
        client_id: the OAuth client that the token end point accepts.
        client_secret: its secret.
        data: folder in which accounts and mail outlive a restart; None: memory only.
        smtp_idle_seconds: an SMTP connection on which nothing was said for so long is closed.
    """

    host: str = "127.0.0.1"
    http_port: int = 0
    smtp_port: int = 0
    accounts: Sequence[tuple[str, Path | str | None]] = ()
    client_id: str = "gda-sandbox"
    client_secret: str = "sandbox-secret"
    data: Path | None = None
    smtp_idle_seconds: float = IDLE_SECONDS


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running sandbox listens; ``as_line()`` is what it writes to standard output when it is ready."""

    http: str
    smtp_host: str
    smtp_port: int
    pid: int

    def as_line(self) -> bytes:
        return orjson.dumps(self) + b"\n"


class _HttpServer(uvicorn.Server):
    """uvicorn that says when it listens and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running(options: SandboxOptions, sandbox: Sandbox | None = None) -> AsyncIterator[tuple[Sandbox, Address]]:
    """Run a sandbox in this event loop for as long as the context lasts.

    Args:
        options: ports and first accounts.
        sandbox: the state to serve; None: a new one after the options.

    Yields:
        The state and where it listens.

    Raises:
        Unavailable: a port is taken, or the data folder cannot be written.
        UsageError: an account's address or mail source is wrong.
    """
    sandbox = sandbox or Sandbox(client_id=options.client_id, client_secret=options.client_secret, data=options.data)
    for email, mail in options.accounts:
        sandbox.open_account(email, mail=None if mail is None else str(mail))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(sandbox.close)
        http_socket = stack.enter_context(_bind(options.host, options.http_port, "HTTP"))
        smtp_socket = stack.enter_context(_bind(options.host, options.smtp_port, "SMTP"))
        await stack.enter_async_context(_http(sandbox, http_socket))
        await stack.enter_async_context(_smtp(sandbox, smtp_socket, options.smtp_idle_seconds))
        http_port, smtp_port = http_socket.getsockname()[1], smtp_socket.getsockname()[1]
        yield sandbox, Address(f"http://{options.host}:{http_port}", options.host, smtp_port, os.getpid())


async def serve(options: SandboxOptions, *, ready: asyncio.Event | Callable[[Address], None] | None = None) -> None:
    """Run a sandbox until SIGTERM, SIGINT or cancellation; write one JSON line to standard output when it is ready.

    Args:
        options: ports and first accounts.
        ready: an event to set, or a function to call with the address, once both ports listen.

    Raises:
        Unavailable: a port is taken, or the data folder cannot be written.
        UsageError: an account's address or mail source is wrong.
    """
    stop = asyncio.Event()
    with _stop_signals(stop):
        async with running(options) as (_, address):
            sys.stdout.buffer.write(address.as_line())
            sys.stdout.buffer.flush()
            if isinstance(ready, asyncio.Event):
                ready.set()
            elif ready is not None:
                ready(address)
            await stop.wait()


def _bind(host: str, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; with it an answer may wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 0 to 65535"
        raise Unavailable(
            f"the sandbox cannot listen on {host}:{port} for {name}: {reason}; choose another port, or 0 for a free one"
        ) from error
    listener.setblocking(False)
    return listener


@contextlib.asynccontextmanager
async def _http(sandbox: Sandbox, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        create_app(sandbox),
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _HttpServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.listening.wait()
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def _smtp(sandbox: Sandbox, listener: socket.socket, idle_seconds: float) -> AsyncIterator[None]:
    server = await asyncio.get_running_loop().create_server(
        lambda: sink_protocol(sandbox, idle_seconds), sock=listener, backlog=1024
    )
    try:
        yield
    finally:
        server.close()


@contextlib.contextmanager
def _stop_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    installed = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread of a Unix process may; elsewhere cancellation is the way to stop.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
