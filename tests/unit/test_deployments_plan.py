"""The plan: what differs, what is left alone, what a hand in Prefect decided, and what may be deleted."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from deployments.plan import Existing, plan
from deployments.spec import DeploymentSpec, ScheduleSpec

MORNING = ScheduleSpec("default", "30 7 * * 1-5", "Europe/Berlin", group="default")


def spec(user: str = "ada", *schedules: ScheduleSpec, **changes: Any) -> DeploymentSpec:
    values: dict[str, Any] = {
        "flow_name": "digest",
        "name": user,
        "entrypoint": "flows.digest.deliver_digests",
        "schedules": schedules or (MORNING,),
        "parameters": {"user": user},
        "tags": ("gda", "kind:digest", f"user:{user}"),
    }
    return DeploymentSpec(**values | changes)


def there(one: DeploymentSpec, foreign: tuple[str, ...] = ()) -> Existing:
    return Existing(f"id-{one.name}", one, {each.slug: f"id-{each.slug}" for each in one.schedules}, foreign)


def after_apply(wanted: Iterable[DeploymentSpec], existing: Iterable[Existing] = ()) -> list[Existing]:
    """What Prefect would have once the plan is carried out."""
    found = plan(wanted, existing)
    return [there(one) for one in found.create] + [there(one.spec) for one in found.update] + list(found.unchanged)


def off(one: ScheduleSpec) -> ScheduleSpec:
    return replace(one, active=False)


def test_what_is_not_there_is_created() -> None:
    found = plan([spec()], [])
    assert [one.title for one in found.create] == ["digest/ada"]
    assert found.changes == 1


def test_a_second_apply_finds_nothing_to_do() -> None:
    wanted = [spec("ada"), spec("bob", off(MORNING))]
    found = plan(wanted, after_apply(wanted))
    assert found.changes == 0
    assert [one.spec.name for one in found.unchanged] == ["ada", "bob"]
    assert found.paused_by_hand == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entrypoint", "flows.other.deliver"),
        ("description", "drifted"),
        ("parameters", {"user": "eve"}),
        ("tags", ("gda", "kind:digest", "user:ada", "vip")),
        ("work_queue", "bulk"),
        ("work_pool", "elsewhere"),
        ("version", "0"),
        ("concurrency_limit", None),
        ("collision_strategy", "CANCEL_NEW"),
        ("enforce_parameter_schema", False),
        ("parameter_schema", {"type": "array"}),
        ("pull_steps", ({"step": {}},)),
        ("job_variables", {"env": {}}),
    ],
)
def test_a_field_changed_in_prefects_ui_is_seen_as_drift(field: str, value: Any) -> None:
    found = plan([spec()], [there(spec(**{field: value}))])
    [update] = found.update
    assert [(change.field, change.old) for change in update.changes] == [(field, value)]
    assert update.verb == "update"


@pytest.mark.parametrize("change", [{"cron": "0 0 * * *"}, {"timezone": "UTC"}, {"day_or": False}])
def test_a_schedule_changed_in_prefects_ui_is_seen_as_drift(change: dict[str, Any]) -> None:
    [update] = plan([spec()], [there(spec("ada", replace(MORNING, **change)))]).update
    assert [one.field for one in update.changes] == ["schedules.default"]


def test_schedules_that_come_and_go_are_told_one_by_one() -> None:
    evening = ScheduleSpec("evening", "0 18 * * *", "UTC", group="evening")
    [update] = plan([spec("ada", evening)], [there(spec())]).update
    assert [(one.field, one.old, one.new) for one in update.changes] == [
        ("schedules.evening", None, evening),
        ("schedules.default", MORNING, None),
    ]


def test_a_schedule_that_somebody_added_in_prefect_is_taken_away() -> None:
    [update] = plan([spec()], [there(spec(), foreign=("x-1",))]).update
    assert [(one.field, one.new) for one in update.changes] == [("schedules.x-1", None)]


def test_losing_the_last_schedule_is_a_change_although_the_api_ignores_an_empty_list() -> None:
    bare = replace(spec(), schedules=())
    [update] = plan([bare], [there(spec())]).update
    assert [(one.field, one.new) for one in update.changes] == [("schedules.default", None)]


def test_only_deployments_with_our_tag_and_a_users_are_deleted() -> None:
    users = there(spec("gone"))
    drain = there(replace(spec("drain"), tags=("gda", "kind:digest", "system")))
    foreign = there(replace(spec("mine"), tags=("user:ada",)))
    found = plan([], [users, drain, foreign])
    assert found.delete == (users,)


def test_a_pause_of_ours_is_made_and_taken_back() -> None:
    active, paused = [spec()], [spec("ada", off(MORNING))]
    first = plan(paused, after_apply(active))
    assert [one.verb for one in first.update] == ["pause"]
    assert first.paused_by_hand == ()
    back = plan(active, after_apply(paused, after_apply(active)))
    assert [one.verb for one in back.update] == ["resume"]
    assert plan(active, after_apply(active, after_apply(paused, after_apply(active)))).changes == 0


def test_a_schedule_paused_by_hand_stays_paused_and_is_reported_not_changed() -> None:
    found = plan([spec()], [there(spec("ada", off(MORNING)))])
    assert found.changes == 0
    assert [str(one) for one in found.paused_by_hand] == [
        "digest/ada: schedule 'default' is paused by hand in Prefect and stays so; resume it there"
    ]


def test_a_schedule_paused_by_hand_is_edited_without_being_resumed() -> None:
    later = replace(MORNING, cron="45 7 * * 1-5")
    found = plan([spec("ada", later)], [there(spec("ada", off(MORNING)))])
    [update] = found.update
    assert update.spec.schedules == (off(later),)
    assert len(found.paused_by_hand) == 1


def test_a_pause_by_hand_outlives_a_pause_and_resume_of_ours() -> None:
    by_hand = [there(spec("ada", off(MORNING)))]
    ours_too = plan([spec("ada", off(MORNING))], by_hand)
    assert ours_too.changes == 0
    found = plan([spec()], list(ours_too.unchanged))
    assert found.changes == 0
    assert len(found.paused_by_hand) == 1


def test_a_second_cron_of_a_schedule_paused_by_hand_starts_paused() -> None:
    second = ScheduleSpec("default#2", "0 9 31 * *", "Europe/Berlin", group="default")
    [update] = plan([spec("ada", MORNING, second)], [there(spec("ada", off(MORNING)))]).update
    assert [one.active for one in update.spec.schedules] == [False, False]


def test_a_deployment_paused_by_hand_stays_paused_and_is_reported() -> None:
    found = plan([spec()], [there(spec(paused=True))])
    assert found.changes == 0
    assert [one.schedule for one in found.paused_by_hand] == [None]


def test_what_was_resumed_in_prefect_against_our_pause_is_paused_again() -> None:
    paused = [spec("ada", off(MORNING))]
    marked = after_apply(paused)[0].spec
    [update] = plan(paused, [there(replace(marked, schedules=(MORNING,)))]).update
    assert update.verb == "pause"


def test_the_plan_is_told_to_people_and_to_programs() -> None:
    found = plan(
        [spec("ada"), spec("bob", description="new")], [there(spec("bob", description="old")), there(spec("eve"))]
    )
    assert found.lines() == [
        "+ create digest/ada: ",
        "~ update digest/bob",
        "    description: old -> new",
        "- delete digest/eve",
        "1 to create, 1 to update, 1 to delete, 0 unchanged",
    ]
    told = json.loads(json.dumps(found.to_json()))
    assert told["format"] == 1
    assert told["create"][0]["schedules"] == [{"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin", "active": True}]
    assert told["update"][0]["changes"] == [{"field": "description", "old": "old", "new": "new"}]
    assert told["delete"] == [{"deployment": "digest/eve"}]


def test_what_was_paused_by_hand_stays_paused_when_the_kind_gets_another_name() -> None:
    old = there(spec(flow_name="inventory", schedules=(off(MORNING),)))
    renamed = spec(flow_name="stock-count", formerly=("inventory/ada",))
    found = plan([renamed], [old])
    [made] = found.create
    assert [one.active for one in made.schedules] == [False]
    assert [one.spec.title for one in found.delete] == ["inventory/ada"]
    assert [one.title for one in found.paused_by_hand] == ["stock-count/ada"]
    assert plan([renamed], after_apply([renamed], [old])).changes == 0


def test_what_others_made_under_an_earlier_name_is_neither_deleted_nor_asked_for_its_pauses() -> None:
    foreign = there(spec(flow_name="inventory", schedules=(off(MORNING),), tags=()))
    found = plan([spec(flow_name="stock-count", formerly=("inventory/ada",))], [foreign])
    assert ([one.active for one in found.create[0].schedules], found.delete) == ([True], ())
