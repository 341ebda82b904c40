"""Child processes that never outlive whoever started them: not after Ctrl-C, SIGTERM or an error, nor after SIGKILL."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

from gda.cli import watchdog
from gda.errors import Unavailable

MARK = "GDA_SUPERVISED"
"""Environment variable by which every descendant is found again."""
LAST_LINES = 12
_POLL_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Child:
    """One running child; its output goes to ``log``."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def last_lines(self) -> str:
        """The end of its log, for people."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-LAST_LINES:] if line.strip())


class Children:
    """A family of processes, ended together when the context ends.

    Args:
        logs: folder of their logs, one file each.
        grace: seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, logs: Path, grace: float = watchdog.GRACE_SECONDS) -> None:
        self._logs = logs
        self._grace = grace
        self._children: list[Child] = []
        self.mark = f"{MARK}={uuid4()}"
        """What every descendant carries in its environment (see ``watchdog.marked``)."""
        self._watchdog: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        # In a session of its own: a signal to this process's group, even SIGKILL, does not reach it.
        self._watchdog = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", watchdog.__file__, self.mark),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        # A second Ctrl-C while this runs may cut it short; then the watchdog finishes it.
        await asyncio.shield(self._end())

    async def start(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> Child:
        """Start one child with exactly this environment; its standard output and error go to its log."""
        log = self._logs / f"{name.replace(' ', '-')}.log"
        mark_name, _, mark_value = self.mark.partition("=")
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**env, mark_name: mark_value},
                cwd=cwd,
                # Ctrl-C in the terminal must reach this process alone, which ends the children in order.
                process_group=0,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    async def alongside(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work`` while every child lives. Raises Unavailable with a child's last lines when one dies first."""
        task = asyncio.create_task(work)
        deaths = {asyncio.create_task(child.process.wait()): child for child in self._children}
        try:
            await asyncio.wait({task, *deaths}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            dead = next(child for death, child in deaths.items() if death.done())
            raise Unavailable(
                f"the {dead.name} ended by itself with code {dead.process.returncode}; its log is {dead.log}:\n"
                f"{dead.last_lines()}"
            )
        finally:
            for each in (task, *deaths):
                each.cancel()
            await asyncio.gather(task, *deaths, return_exceptions=True)

    async def until(self, healthy: Callable[[], Awaitable[bool]], *, what: str, limit: float) -> None:
        """Wait until ``healthy`` says so. Raises Unavailable after ``limit`` seconds, or when a child dies first."""

        async def wait() -> None:
            while not await healthy():  # noqa: ASYNC110 (another process cannot set an event here)
                await asyncio.sleep(_POLL_SECONDS)

        try:
            async with asyncio.timeout(limit):
                await self.alongside(wait())
        except TimeoutError:
            raise Unavailable(f"{what} did not get ready within {limit:g} s; its log lies in {self._logs}") from None

    async def _end(self) -> None:
        for child in reversed(self._children):
            if child.process.returncode is None:
                child.process.terminate()
        ends = [child.process.wait() for child in self._children]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await asyncio.gather(*ends)
        # What a child started itself (flow runs have sessions of their own) or what did not listen.
        await asyncio.to_thread(watchdog.end_marked, self.mark, 0.5)
        await asyncio.gather(*(child.process.wait() for child in self._children))
        if self._watchdog is not None:
            await self._watchdog.communicate(b"")


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def require_free(port: int, option: str) -> None:
    """Make sure that a port a person named can be had. Raises Unavailable."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a port is a number from 1 to 65535"
            raise Unavailable(
                f"{option} {port} cannot be used: {reason}; choose another port, or leave {option} out for a free one"
            ) from None


@contextlib.contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the running task as Ctrl-C does, so that its ``finally`` blocks run."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        yield
    except asyncio.CancelledError:
        if asked:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def bare_environment() -> dict[str, str]:
    """This process's environment without GDA's and Prefect's variables: a child gets those said to it, no others."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GDA_", "PREFECT_"))}
