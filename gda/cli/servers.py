"""Prefect's server and worker as children on this machine."""

import sys
from collections.abc import Mapping
from pathlib import Path

from gda.cli.processes import Children

LOOPBACK = "127.0.0.1"
SERVER_SECONDS = 180
"""How long a server may take to answer: 8 s on a quiet machine of 2 cores, 28 s measured on a busy one."""
WORKER_QUERY_SECONDS = "2"
"""How often the worker asks for work; Prefect's own default of 10 s suits many workers, not one beside its server."""

LATE_SECONDS = "86400"
"""After this a waiting run is marked Late; nothing of GDA's needs the mark, since the sweep looks at each run's time.

Prefect's default of 15 s marks them while others start, in transactions that its SQLite refuses ("database is locked");
one such refusal was seen to stop every write for 60 s, with Prefect 3.8.8 (``gda.cli.prefect_server`` says why).
Marking what an hour's absence had made late (124 runs of 10 users) was refused 1,400 times in five minutes, in which
little else got through.
"""

# Prefect checks the timezone of every schedule it reads against a list of zones that it makes anew from all folders
# searched. Without the system's there is the tzdata package alone: a server that read 120 deployments took 0.13 s of
# CPU instead of 1.95 s.
ONLY_PACKAGED_ZONES = {"PYTHONTZPATH": ""}

# Prefect records the states of task runs one by one by default, each in statements compiled anew. Together they cost 13
# instead of 36 ms of the server's CPU per digest (800 digests, Prefect 3.8.8); the UI shows them up to 2 s later.
RECORD_STATES_TOGETHER = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "2",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "2",
}
SERVER_ENVIRONMENT = ONLY_PACKAGED_ZONES | RECORD_STATES_TOGETHER


def prefect_environment(home: Path, port: int) -> dict[str, str]:
    """The variables of a server of our own on ``port``, and of everything that talks to it.

    Prefect loads them from nowhere else: ``home`` (absolute) holds its database and profiles, and it calls nobody.
    """
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": WORKER_QUERY_SECONDS,
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": LATE_SECONDS,
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }


def server_command(port: int) -> list[str]:
    """The command of a Prefect server on ``port`` of this machine."""
    return [sys.executable, "-m", "gda.cli.prefect_server", "--host", LOOPBACK, "--port", str(port)]


async def start_server(children: Children, env: Mapping[str, str], port: int, cwd: Path) -> None:
    """Start a Prefect server; :func:`server_answers` waits for it."""
    await children.start("Prefect server", server_command(port), {**env, **SERVER_ENVIRONMENT}, cwd)


async def start_worker(children: Children, env: Mapping[str, str], pool: str, limit: int, cwd: Path) -> None:
    """Start a process worker of ``pool``, which must exist; it begins ``limit`` flow runs at once."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    await children.start(f"worker of {pool}", [*command, "--limit", str(limit), "--name", "gda"], env, cwd)


async def server_answers(children: Children, api_url: str) -> None:
    """Wait until the Prefect server is healthy. Raises Unavailable."""
    await answers(children, f"{api_url}/health", "the Prefect server", SERVER_SECONDS)


async def answers(children: Children, url: str, what: str, limit: float) -> None:
    """Wait until ``url`` answers with success. Raises Unavailable after ``limit`` seconds or when a child dies."""
    import httpx

    async with httpx.AsyncClient(timeout=5, trust_env=False) as http:

        async def healthy() -> bool:
            try:
                return (await http.get(url)).is_success
            except httpx.HTTPError:
                return False

        await children.until(healthy, what=what, limit=limit)
