"""``gda up`` on a machine that loses its power: what comes back an hour late begins nothing twice."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

from tests.builders import a_store, a_user_with_digest
from tests.outage.shift import set_back
from tests.support.prefect_server import PrefectServer, free_port
from tests.support.town import eventually, kill_with_descendants

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UP = "import sys; from gda.cli import main; sys.exit(main())"
WAITING = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}


@contextmanager
def power(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``gda up`` until the block ends; then it is gone with all its children, as without power."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GDA_", "PREFECT_", "COVERAGE_"))}
    own |= {"GDA_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", UP, "up", "--port", str(port)]
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=own, stdout=log, stderr=log)
        try:
            yield process
        finally:
            kill_with_descendants(process.pid)
            process.wait()


async def runs(server: PrefectServer, **wanted: object) -> list[FlowRun]:
    asked = FlowRunFilter.model_validate({"tags": {"all_": ["gda"]}, **wanted})
    async with server.client() as client:
        return await client.read_flow_runs(flow_run_filter=asked, limit=200)


async def test_after_an_hour_without_power_no_deployment_begins_more_than_one_late_run(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    server, url = PrefectServer(f"http://127.0.0.1:{port}/api", home), f"sqlite+aiosqlite:///{home}/gda.db"
    minutes = sorted((datetime.now(UTC) + timedelta(minutes=ahead)).minute for ahead in (15, 35))
    async with a_store(url) as store:
        await a_user_with_digest(store, expression=f"{minutes[0]},{minutes[1]} * * * *", timezone="UTC")

    async def works() -> bool:
        """The workers work, and the scheduler has made runs for the coming hour."""
        log = (home / "up.log").read_text()
        swept = "GDA is up" in log and await runs(server, state={"type": {"any_": ["COMPLETED"]}})
        waiting = await runs(server, state={"type": {"any_": ["SCHEDULED"]}}) if swept else []
        return sum("user:ada" in run.tags for run in waiting) >= 2 and len(waiting) > 100

    with power(home, port):
        await eventually(works, "gda up works")
    for file in (home / "prefect" / "prefect.db", home / "gda.db"):
        assert set_back(file, timedelta(hours=1))
    back = datetime.now(UTC)

    async def caught_up() -> list[FlowRun]:
        """Runs that were missed, once a sweep has ended since and none of them waits or runs any more."""
        if "GDA is up" not in (home / "up.log").read_text().partition("GDA is up")[2]:
            return []
        swept = await runs(server, start_time={"after_": back}, tags={"all_": ["system"]})
        left = await runs(server, state=WAITING, expected_start_time={"before_": back})
        return [] if left or not swept else await runs(server, expected_start_time={"before_": back})

    with power(home, port):
        missed = await eventually(caught_up, "nothing missed is left")
        async with a_store(url) as store:
            await eventually(store.history.list, "the missed digest is promised")

    began = [run for run in missed if run.run_count and run.start_time and run.start_time >= back]
    starts = Counter(run.deployment_id for run in began)
    assert len(missed) > 100
    assert max(starts.values(), default=0) <= 1, [(run.name, run.expected_start_time) for run in began]
    assert not [run.name for run in began if "user:ada" in run.tags]
