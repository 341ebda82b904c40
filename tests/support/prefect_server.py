"""A real Prefect server and real process workers for tests, as child processes on loopback."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from gda.cli.servers import ONLY_PACKAGED_ZONES, server_command

READY_SECONDS = 100
END_SECONDS = 15
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A running server; ``home`` is its own ``PREFECT_HOME``, where ``server.log`` lies too."""

    api_url: str
    home: Path
    auth_string: str | None = None
    pid: int = 0

    @property
    def ui_url(self) -> str:
        """Where a browser finds the UI."""
        return self.api_url.removesuffix("/api")

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a child that talks to this server, with a ``PREFECT_HOME`` apart from the server's."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        own |= {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.home / "client"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
            # Each timezone Prefect checks re-reads the list of zones: 3 ms from the tzdata package alone, else 12 ms.
            "PYTHONTZPATH": "",
        }
        if self.auth_string:
            own["PREFECT_API_AUTH_STRING"] = self.auth_string
        return own | more

    @asynccontextmanager
    async def client(self) -> AsyncIterator[PrefectClient]:
        """A Prefect client of this server; inside the block every client in this process is one of this server."""
        with temporary_settings({PREFECT_API_URL: self.api_url, PREFECT_API_AUTH_STRING: self.auth_string}):
            async with get_client() as client:
                yield client

    async def emptied(self) -> None:
        """Remove deployments, work pools, block documents and artifacts, so that the server is as on its first day."""
        async with self.client() as client:
            for deployment in (await client.request("POST", "/deployments/filter", json={})).json():
                await client.delete_deployment(deployment["id"])
            for pool in await client.read_work_pools():
                await client.delete_work_pool(pool.name)
            for document in await client.read_block_documents():
                await client.delete_block_document(document.id)
            for artifact in await client.read_artifacts():
                await client.delete_artifact(artifact.id)


@contextmanager
def prefect_server_process(
    home: Path, *, auth_string: str | None = None, database_url: str | None = None, **more: str
) -> Iterator[PrefectServer]:
    """Run a Prefect server, as ``gda up`` starts it, until the block ends.

    Args:
        home: its ``PREFECT_HOME``, made when absent.
        auth_string: what clients must present, ``user:password``; None for an open server.
        database_url: SQLAlchemy URL of its database; SQLite in ``home`` when not given.
        more: further environment variables of the server.

    Raises:
        RuntimeError: it ended, or did not answer within ``READY_SECONDS``; the text holds the end of its log.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    server = PrefectServer(f"http://127.0.0.1:{port}/api", home, auth_string)
    # Measuring the server's own code would only make it slow.
    environment = {name: value for name, value in server.environment().items() if not name.startswith("COVERAGE_")}
    environment |= ONLY_PACKAGED_ZONES | {"PREFECT_HOME": str(home), **more}
    if auth_string:
        environment["PREFECT_SERVER_API_AUTH_STRING"] = auth_string
    if database_url:
        environment["PREFECT_API_DATABASE_CONNECTION_URL"] = database_url
    log = home / "server.log"
    with log.open("ab") as output, _child(server_command(port), environment, home, output) as child:
        _wait_until(lambda: _answers(f"{server.api_url}/health"), child, log)
        yield replace(server, pid=child.pid)


@asynccontextmanager
async def running_prefect_server(
    home: Path, *, auth_string: str | None = None, database_url: str | None = None, **more: str
) -> AsyncIterator[PrefectServer]:
    """As :func:`prefect_server_process`, without blocking the event loop."""
    context = prefect_server_process(home, auth_string=auth_string, database_url=database_url, **more)
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@asynccontextmanager
async def running_worker(
    server: PrefectServer,
    pool: str,
    *,
    home: Path,
    cwd: Path | None = None,
    name: str = "tests",
    limit: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a process worker until the block ends; it is polling when the block begins.

    Args:
        server: whose work it takes.
        pool: the work pool, which must exist.
        home: its ``HOME``, ``PREFECT_HOME`` and log (``worker.log``).
        cwd: its working directory; ``home`` when not given.
        name: under which the API lists it.
        limit: flow runs that it begins at once; as many as come when not given.
        environment: further variables, over the ones of ``server.environment()``.

    Raises:
        RuntimeError: it ended or did not report within ``READY_SECONDS``.
    """
    home.mkdir(parents=True, exist_ok=True)
    own = server.environment(HOME=str(home), PREFECT_HOME=str(home / "prefect"), PREFECT_WORKER_QUERY_SECONDS="1")
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", name]
    command += [] if limit is None else ["--limit", str(limit)]
    log = home / "worker.log"
    with log.open("ab") as output, _child(command, own | dict(environment or {}), cwd or home, output) as child:
        await asyncio.to_thread(_wait_until, partial(_reports, server, pool, name), child, log)
        yield child


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _child(
    command: list[str], environment: Mapping[str, str], cwd: Path, output: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    # A group of its own, so that the flow runs a worker started end with it.
    child = subprocess.Popen(
        command, env=dict(environment), cwd=cwd, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield child
    finally:
        _end_group(child)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _wait_until(ready: Callable[[], bool], child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{child.args!r} is not ready (exit code {child.poll()}):\n{tail}")
        time.sleep(_POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _reports(server: PrefectServer, pool: str, name: str) -> bool:
    auth = tuple(server.auth_string.split(":", 1)) if server.auth_string else None
    url = f"{server.api_url}/work_pools/{pool}/workers/filter"
    try:
        found = httpx.post(url, json={}, timeout=5, trust_env=False, auth=auth)  # type: ignore[arg-type]
    except httpx.HTTPError:
        return False
    return found.is_success and any(worker["name"] == name for worker in found.json())
