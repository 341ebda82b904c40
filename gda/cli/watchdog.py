"""Ends every process that carries a mark in its environment once whoever holds the other end of stdin is gone.

Prefect's worker gives each flow run a session of its own, so neither process groups nor the death of a parent reach
them; the environment is what every descendant inherits. Runs as a script (``python -I -S watchdog.py NAME=VALUE``) and
so imports nothing but the standard library.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_SECONDS = 6.0
_POLL_SECONDS = 0.05
_PROC = Path("/proc")


def marked(mark: str) -> list[int]:
    """The pids of this user's live processes with ``mark`` (``NAME=VALUE``) in their environment, except this one."""
    found = _from_proc(mark.encode()) if (_PROC / "self" / "environ").exists() else _from_ps(mark)
    return [pid for pid in found if pid != os.getpid()]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each; those that are gone already do not matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def end_marked(mark: str, grace: float = GRACE_SECONDS) -> None:
    """Ask every marked process to stop, wait ``grace`` seconds for them, then kill what is left, and its offspring."""
    signal_all(marked(mark), signal.SIGTERM)
    deadline = time.monotonic() + grace
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    while left:
        signal_all(left, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
        left = marked(mark)


def _from_proc(mark: bytes) -> list[int]:
    return [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit() and _carries(folder, mark)]


def _carries(folder: Path, mark: bytes) -> bool:
    # A zombie's environment is empty, so it does not count as alive.
    try:
        return mark in (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _from_ps(mark: str) -> list[int]:
    listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, check=False, text=True).stdout
    lines = (line.split() for line in listing.splitlines())
    return [int(words[0]) for words in lines if mark in words[1:]]


def main() -> None:
    """Wait for the end of stdin, then end what carries the mark."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_marked(sys.argv[1])


if __name__ == "__main__":
    main()
