"""Work without a schedule, performed by the generic flow against a real Prefect server."""

from pathlib import Path

import pytest

from deployments.system import apply_system, find_file
from flows.run_job import run_job
from gda.enqueue import NewJob, enqueue
from gda.glue.drains import ensure_drain
from gda.lifecycle import Status
from gda.registry import load_registry
from gda.store.queue import Queue
from tests.builders import MORNING
from tests.support.flow_runs import Scene, a_scene
from tests.support.sandbox import plain_mail

pytestmark = pytest.mark.slow


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "1.eml").write_bytes(plain_mail("The only one"))
    return folder


async def asked_for(scene: Scene, queue: str) -> str:
    """A digest for ada beside any schedule, put into a queue; returns its id."""
    job = NewJob("digest", user_id="ada", queue=queue)
    made = await enqueue(Queue(scene.house.store.database), load_registry(), scene.house.settings, job)
    return made.occurrence_id


async def test_a_queue_is_performed_by_the_generic_flow_and_the_others_wait(
    prefect_server, tmp_path, monkeypatch, mail
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        bulk, critical = await asked_for(scene, "bulk"), await asked_for(scene, "critical")
        state = await run_job("digest", "critical", return_state=True)
        rows = {row.id: row.status for row in await scene.house.store.history.list()}
        mails = scene.house.accepted("ada")

    assert (state.is_completed(), state.message) == (True, "1 done")
    assert rows == {bulk: Status.SCHEDULED, critical: Status.DONE}
    assert [one.occurrence for one in mails] == [critical]


async def test_however_many_ask_in_one_minute_one_drain_run_is_made(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        before = await ensure_drain("digest")
        await apply_system(scene.client, scene.house.settings, find_file())
        asked = [await ensure_drain("invoice", "bulk", clock=lambda: MORNING) for _ in range(3)]
        runs = [run for run in await scene.client.read_flow_runs() if "drain" in run.tags]
        await prefect_server.emptied()

    assert (before, asked) == (False, [True, True, True])
    assert [run.parameters for run in runs if run.parameters.get("kind") == "invoice"] == [
        {"kind": "invoice", "queue": "bulk"}
    ]
