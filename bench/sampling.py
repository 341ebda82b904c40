"""Where a flow run's CPU time goes: a thread samples the stacks of all others and weighs each by the CPU it used.

A worker's flow runs find it through a ``sitecustomize.py`` on their ``PYTHONPATH``, which :func:`install` writes.
"""

import atexit
import json
import os
import sys
import threading
import time
from collections import defaultdict
from functools import cache
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.05
KEEP_EVERY_SECONDS = 1.0
FOLDER = "GDA_BENCH_SAMPLES"

PARTS = {
    "ledger": ("/gda/store/", "/sqlalchemy/", "/aiosqlite/", "/sqlite3/"),
    "HTTP and SMTP": ("/gda/google/", "/gda/delivery/", "/aiosmtplib/"),
    "rendering": ("/gda/mail/", "/gda/digest/", "/jinja2/"),
    "other": ("/gda/", "/flows/", "/bench/", "<frozen importlib"),
    "Prefect client": ("/prefect/", "/websockets/"),
}
"""The innermost frame of a stack that is in one of these files says whose time it is: who called a library, not it."""
UNOWNED = "other"


def install(folder: Path) -> dict[str, str]:
    """Write the hook, and return the variables that make a worker's flow runs sample themselves into ``folder``."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text("from bench.sampling import begin\n\nbegin()\n")
    root = str(Path(__file__).parent.parent)
    return {FOLDER: str(folder), "PYTHONPATH": os.pathsep.join((str(folder), root))}


def begin() -> None:
    """Sample this process until its end, if it performs a flow run."""
    if "PREFECT__FLOW_RUN_ID" in os.environ:
        Sampler(Path(os.environ[FOLDER]) / f"{os.getpid()}.json").start()


def gathered(folder: Path) -> dict[str, float]:
    """The CPU seconds of all flow runs sampled into ``folder``, by part."""
    total: defaultdict[str, float] = defaultdict(float)
    for path in folder.glob("*.json"):
        for part, seconds in json.loads(path.read_text()).items():
            total[part] += seconds
    return dict(total)


class Sampler(threading.Thread):
    """Samples its process; ``used`` holds CPU seconds by part."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="gda-bench-sampler", daemon=True)
        self.path = path
        self.used: defaultdict[str, float] = defaultdict(float)
        self._cpu: dict[int, float] = {}
        atexit.register(self.keep)

    def run(self) -> None:
        """Look, and keep what was found, until the process ends."""
        keep_at = 0.0
        while True:
            time.sleep(EVERY_SECONDS)
            self._look()
            if time.monotonic() > keep_at:
                self.keep()
                keep_at = time.monotonic() + KEEP_EVERY_SECONDS

    def keep(self) -> None:
        """Write the figures, whole or not at all."""
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(self.used))
        draft.replace(self.path)

    def _look(self) -> None:
        for thread, frame in sys._current_frames().items():
            try:
                cpu = time.clock_gettime(time.pthread_getcpuclockid(thread))
            except OSError:  # It ended meanwhile.
                continue
            spent = cpu - self._cpu.get(thread, 0.0)
            self._cpu[thread] = cpu
            if spent > 0 and thread != self.ident:
                self.used[part_of(frame)] += spent


def part_of(frame: FrameType | None) -> str:
    """Whose time a stack is."""
    while frame is not None:
        if part := _owner(frame.f_code.co_filename):
            return part
        frame = frame.f_back
    return UNOWNED


@cache
def _owner(file: str) -> str | None:
    return next((part for part, places in PARTS.items() if any(place in file for place in places)), None)
