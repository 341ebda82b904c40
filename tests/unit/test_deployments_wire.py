"""Our values as JSON of Prefect's API and back."""

from dataclasses import replace
from typing import Any

from prefect.client.schemas.actions import DeploymentCreate, DeploymentUpdate

from deployments.plan import Change, Existing, Update, plan
from deployments.spec import DeploymentSpec, ScheduleSpec
from deployments.wire import create_payload, read_back, removed_schedules, update_payload

MORNING = ScheduleSpec("default", "30 7 * * 1-5", "Europe/Berlin", group="default")
SPEC = DeploymentSpec(
    flow_name="digest",
    name="ada",
    entrypoint="flows.digest.deliver_digests",
    schedules=(MORNING,),
    parameters={"user": "ada"},
    tags=("gda", "user:ada"),
    description="every weekday",
    version="1",
    parameter_schema={"type": "object", "properties": {}},
)
FLOW = "0b0c3f52-8f0e-5b69-8d0b-0f4a2f3c9f10"


def answered(spec: DeploymentSpec, *schedules: dict[str, Any]) -> dict[str, Any]:
    """What Prefect's API gives back for a deployment that was created from ``spec``."""
    sent = create_payload(spec, FLOW)
    kept = [{"id": f"id-{one['slug']}", "parameters": {}, **one} for one in sent["schedules"]]
    limit = {"global_concurrency_limit": {"limit": sent["concurrency_limit"]}, "concurrency_limit": None}
    return sent | limit | {"id": "d-1", "schedules": [*kept, *schedules], "path": None}


def existing(spec: DeploymentSpec = SPEC, *schedules: dict[str, Any]) -> Existing:
    return read_back(answered(spec, *schedules), "digest")


def test_what_is_created_is_read_back_equal() -> None:
    assert existing().spec == SPEC
    assert plan([SPEC], [existing()]).changes == 0


def test_what_is_sent_is_what_prefects_own_client_would_accept() -> None:
    sent = create_payload(SPEC, FLOW)
    assert set(sent) <= set(DeploymentCreate.model_fields)
    checked = DeploymentCreate.model_validate(sent)
    assert checked.schedules[0].slug == "default"
    changed = replace(SPEC, description="new", work_queue="bulk", collision_strategy="CANCEL_NEW", concurrency_limit=2)
    [update] = plan([changed], [existing()]).update
    assert set(update_payload(update)) <= set(DeploymentUpdate.model_fields)


def test_an_update_sends_changed_fields_only() -> None:
    [update] = plan([replace(SPEC, description="new")], [existing()]).update
    assert update_payload(update) == {"description": "new"}


def test_a_changed_queue_is_sent_with_its_pool() -> None:
    [update] = plan([replace(SPEC, work_queue="bulk")], [existing()]).update
    assert update_payload(update) == {"work_pool_name": "gda", "work_queue_name": "bulk"}


def test_an_update_sends_changed_and_new_schedules_and_lists_the_ids_of_those_to_remove() -> None:
    evening = ScheduleSpec("evening", "0 18 * * *", "UTC", group="evening")
    noon = ScheduleSpec("noon", "0 12 * * *", "UTC", group="noon")
    by_hand = {"id": "h-1", "slug": None, "active": True, "schedule": {"interval": 60.0, "timezone": "UTC"}}
    old = existing(replace(SPEC, schedules=(MORNING, noon)), by_hand)
    later = replace(MORNING, cron="45 7 * * *")
    [update] = plan([replace(SPEC, schedules=(later, evening))], [old]).update
    assert [one["slug"] for one in update_payload(update)["schedules"]] == ["default", "evening"]
    assert removed_schedules(update) == ["h-1", "id-noon"]


def test_taking_the_last_schedule_away_sends_no_body_that_the_api_would_ignore() -> None:
    [update] = plan([replace(SPEC, schedules=())], [existing()]).update
    assert update_payload(update) == {}
    assert removed_schedules(update) == ["id-default"]


def test_a_deployment_with_nothing_set_is_read_without_fault() -> None:
    bare = {"id": "d", "name": "x", "tags": ["gda"], "schedules": [], "entrypoint": None}
    found = read_back(bare, "digest")
    assert found.spec.pull_steps == ()
    assert found.spec.concurrency_limit is None


def test_an_update_made_of_schedules_alone_touches_no_field() -> None:
    later = replace(MORNING, cron="45 7 * * *")
    update = Update(existing(), replace(SPEC, schedules=(later,)), (Change("schedules.default", MORNING, later),))
    assert list(update_payload(update)) == ["schedules"]
