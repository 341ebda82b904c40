"""What processes cost, read from ``/proc`` while they run (Linux); elsewhere the figures are left out."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PROC = Path("/proc")
SECONDS_PER_TICK = 1 / os.sysconf("SC_CLK_TCK")
LOOK_EVERY_SECONDS = 0.2


def cpu_seconds(pid: int) -> float:
    """CPU time that ``pid`` itself has used so far, in seconds; 0 when it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * SECONDS_PER_TICK


def peak_mebibytes(pid: int) -> float:
    """The most memory that ``pid`` has held resident, in MiB; 0 when it is gone."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def descendants(pid: int) -> list[int]:
    """The living children of ``pid`` and theirs."""
    found: list[int] = []
    for task in (PROC / str(pid) / "task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


@dataclass
class Watch:
    """Follows the descendants of ``pid`` while entered, since the figures of a process vanish with it.

    ``cpu`` and ``peak`` hold CPU seconds and peak MiB by process id, as last seen.
    """

    pid: int
    cpu: dict[int, float] = field(default_factory=dict)
    peak: dict[int, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            for child in descendants(self.pid):
                self.cpu[child] = max(cpu_seconds(child), self.cpu.get(child, 0.0))
                self.peak[child] = max(peak_mebibytes(child), self.peak.get(child, 0.0))
            if self._stop.wait(LOOK_EVERY_SECONDS):
                return


def server_pid(api_url: str) -> int:
    """The process id of a server started by this process, found by its port."""
    port = api_url.rpartition(":")[2].partition("/")[0]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        words = entry.read_bytes().split(b"\0")
        if b"gda.cli.prefect_server" in words and port.encode() in words:
            return int(entry.parent.name)
    return 0
