"""Work without a schedule, performed by the generic flow against a real Prefect server."""

from pathlib import Path
from typing import Literal

import pytest
from prefect import flow
from prefect.client.schemas.filters import FlowRunFilter
from prefect.flow_engine import run_flow_async
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, Field

from deployments.system import apply_system, find_file
from flows.run_job import perform_now, run_job
from gda.declare import job_type
from gda.enqueue import NewJob, enqueue
from gda.glue.drains import ensure_drain
from gda.job import Job
from gda.lifecycle import Status
from gda.outcome import Done
from gda.registry import Registry, load_registry
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
    made = await enqueue(scene.house.store.queue, load_registry(), scene.house.settings, job)
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


async def test_one_job_asked_for_in_the_form_is_performed_alone_and_once_however_often_its_run_starts(
    prefect_server, tmp_path, monkeypatch, mail
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        other = await asked_for(scene, "default")
        first = await run_job("digest", "bulk", payload={}, user="ada", return_state=True)
        run = await scene.client.read_flow_run(first.state_details.flow_run_id)
        second = await run_flow_async(run_job, flow_run=run, parameters=run.parameters, return_type="state")
        rows = {row.id: row for row in await scene.house.store.history.list()}
        mails = scene.house.accepted("ada")

    [mine] = set(rows) - {other}
    assert (first.is_completed(), first.message, run.name) == (True, "1 done", "ada")
    assert (rows[mine].status, rows[mine].queue, rows[mine].woken_by) == (Status.DONE, "bulk", "hand")
    assert rows[other].status is Status.SCHEDULED
    assert [one.occurrence for one in mails] == [mine]
    assert f"already settled by occurrence {mine}" in str(second.message)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"kind": "digests"}, "kind 'digests' is not registered: did you mean digest?"),
        ({"kind": "digest", "payload": {"n": 1}}, "kind digest takes no payload: leave it out"),
        ({"kind": "digest", "payload": {}, "user": "nobody"}, "user 'nobody' does not exist"),
    ],
)
async def test_what_cannot_be_ends_refused_with_its_sentence(
    prefect_server, tmp_path, monkeypatch, mail, asked, sentence
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        state = await run_job(**asked, return_state=True)
        rows = await scene.house.store.history.list()

    assert (state.is_failed(), state.name, rows) == (True, "Refused", [])
    assert sentence in str(state.message)


def test_the_generic_form_offers_the_queues_and_says_what_each_field_is():
    form = parameter_schema(run_job).model_dump(mode="json")
    assert form["required"] == ["kind"]
    assert {"critical", "default", "bulk"} == set(form["properties"]["queue"]["anyOf"][0]["enum"])
    assert all(field["description"] for field in form["properties"].values())
    assert form["properties"]["payload"]["anyOf"][0]["type"] == "object"


class Invoice(BaseModel):
    """What an invoice reminder carries."""

    number: int = Field(ge=1, description="The invoice's number.")
    language: Literal["de", "en"] = "en"


@flow(name="invoice-reminder")
async def remind_now(invoice: Invoice):
    """Remind of one invoice.

    Args:
        invoice: which.
    """
    return await perform_now("invoice-reminder", invoice)


def test_a_flow_typed_with_a_payload_s_model_has_a_form_with_its_fields_rules_and_choices():
    form = parameter_schema(remind_now).model_dump(mode="json")
    fields = form["definitions"]["Invoice"]["properties"]
    assert form["properties"]["invoice"]["$ref"] == "#/definitions/Invoice"
    assert (fields["number"]["type"], fields["number"]["minimum"]) == ("integer", 1)
    assert fields["language"]["enum"] == ["de", "en"]


async def test_such_a_flow_enqueues_what_the_form_says_and_performs_it(prefect_server, tmp_path, monkeypatch):
    told = []

    @job_type(kind="invoice-reminder", payload=Invoice)
    async def remind(job: Job) -> Done:
        told.append(job.payload)
        return Done(f"reminded of {job.payload.number}")

    registry = Registry()
    registry.register(remind)
    monkeypatch.setattr("flows.run_job.load_registry", lambda: registry)
    async with a_scene(prefect_server, tmp_path, monkeypatch) as scene:
        state = await remind_now({"number": 7, "language": "de"}, return_state=True)
        [row] = await scene.house.store.history.list()

    assert (state.message, row.reason, row.payload) == ("1 done", "reminded of 7", {"number": 7, "language": "de"})
    assert told == [Invoice(number=7, language="de")]


async def test_however_many_ask_in_one_minute_one_drain_run_is_made(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        before = await ensure_drain("digest")
        await apply_system(scene.client, scene.house.settings, find_file())
        asked = [await ensure_drain("invoice", "bulk", clock=lambda: MORNING) for _ in range(3)]
        await ensure_drain("reminder", "critical", clock=lambda: MORNING)
        tagged = FlowRunFilter.model_validate({"tags": {"all_": ["drain"]}})
        runs = await scene.client.read_flow_runs(flow_run_filter=tagged)
        await prefect_server.emptied()

    assert (before, asked) == (False, [True, True, True])
    assert [run.parameters for run in runs if run.parameters.get("kind") == "invoice"] == [
        {"kind": "invoice", "queue": "bulk"}
    ]
    assert sorted(run.work_queue_name or "" for run in runs) == ["critical", "default"], "not behind a schedule's run"
