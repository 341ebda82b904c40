"""Two kinds that do nothing: one task run each, and 200 to a task run. ``bench.queue`` installs them for its worker."""

from pathlib import Path

from gda.declare import job_type
from gda.job import Job, JobType
from gda.outcome import Done

METADATA = "Metadata-Version: 2.1\nName: gda-bench-kinds\nVersion: 0\n"


@job_type(kind="noop", chunk=1)
async def noop(_: Job) -> Done:
    """Do nothing, in a task run of its own."""
    return Done()


@job_type(kind="noop-chunk", chunk=200)
async def noop_chunk(_: Job) -> Done:
    """Do nothing, in a task run shared with up to 199 others."""
    return Done()


KINDS: tuple[JobType, ...] = (noop, noop_chunk)


def install(folder: Path) -> None:
    """Write what an installed package that brings these kinds looks like; ``folder`` goes on ``PYTHONPATH``."""
    place = folder / "gda_bench_kinds-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(METADATA)
    (place / "entry_points.txt").write_text(
        "[gda.job_types]\nnoop = bench.noop:noop\nnoop-chunk = bench.noop:noop_chunk\n"
    )
