"""Between our values and the JSON of Prefect's API.

Plain JSON on purpose: each of Prefect's own schedule objects with a timezone reads the whole zone list from disk when
it is made (8 to 28 ms each, measured on Prefect 3.8.8), which for thousands of deployments is minutes.
"""

from collections.abc import Mapping
from typing import Any

from deployments.plan import Existing, Update
from deployments.spec import DeploymentSpec, ScheduleSpec

PLAIN_FIELDS = {
    "entrypoint": "entrypoint",
    "description": "description",
    "version": "version",
    "work_pool": "work_pool_name",
    "work_queue": "work_queue_name",
    "enforce_parameter_schema": "enforce_parameter_schema",
    "concurrency_limit": "concurrency_limit",
    "paused": "paused",
}
"""Our field names and the API's, where the value is the same."""
COPIED_FIELDS = {
    "parameters": "parameters",
    "parameter_schema": "parameter_openapi_schema",
    "job_variables": "job_variables",
}


def create_payload(spec: DeploymentSpec, flow_id: str) -> dict[str, Any]:
    """The body of ``POST /deployments/``."""
    return {
        "name": spec.name,
        "flow_id": flow_id,
        "schedules": [_schedule(one) for one in spec.schedules],
        **_fields(spec, {*PLAIN_FIELDS, *COPIED_FIELDS, "tags", "pull_steps", "collision_strategy"}),
    }


def update_payload(update: Update) -> dict[str, Any]:
    """The body of ``PATCH /deployments/{id}``: changed fields, and changed or new schedules by slug.

    Schedules that go away are not in it: the API leaves out-of-list schedules alone and ignores an empty list.
    """
    changed = {change.field for change in update.changes}
    if changed & {"work_pool", "work_queue"}:
        # The API resolves a queue within the pool of the same request.
        changed |= {"work_pool", "work_queue"}
    body = _fields(update.spec, changed)
    schedules = [_schedule(one) for one in update.spec.schedules if f"schedules.{one.slug}" in changed]
    return body | ({"schedules": schedules} if schedules else {})


def removed_schedules(update: Update) -> list[str]:
    """The ids of the Prefect schedules that the update takes away."""
    kept = {one.slug for one in update.spec.schedules}
    ids = update.existing.schedule_ids
    return [*update.existing.foreign, *(ids[slug] for slug in ids if slug not in kept)]


def read_back(raw: Mapping[str, Any], flow_name: str) -> Existing:
    """One item of ``POST /deployments/filter`` as our value."""
    ours: list[Mapping[str, Any]] = []
    foreign: list[Mapping[str, Any]] = []
    for schedule in raw["schedules"]:
        (ours if schedule.get("slug") and "cron" in schedule["schedule"] else foreign).append(schedule)
    limit = raw.get("global_concurrency_limit") or {}
    options = raw.get("concurrency_options") or {}
    plain = {name: raw.get(theirs) for name, theirs in PLAIN_FIELDS.items()}
    copied = {name: raw.get(theirs) or {} for name, theirs in COPIED_FIELDS.items()}
    spec = DeploymentSpec(
        flow_name=flow_name,
        name=raw["name"],
        schedules=tuple(_read_schedule(one) for one in ours),
        tags=tuple(sorted(raw["tags"])),
        collision_strategy=options.get("collision_strategy"),
        pull_steps=tuple(raw.get("pull_steps") or ()),
        **plain | copied | {"concurrency_limit": limit.get("limit"), "description": raw.get("description") or ""},
    )
    return Existing(raw["id"], spec, {one["slug"]: one["id"] for one in ours}, tuple(str(one["id"]) for one in foreign))


def _fields(spec: DeploymentSpec, names: set[str]) -> dict[str, Any]:
    body: dict[str, Any] = {theirs: getattr(spec, name) for name, theirs in PLAIN_FIELDS.items() if name in names}
    body |= {theirs: dict(getattr(spec, name)) for name, theirs in COPIED_FIELDS.items() if name in names}
    if "tags" in names:
        body["tags"] = list(spec.tags)
    if "pull_steps" in names:
        body["pull_steps"] = [dict(step) for step in spec.pull_steps]
    if "collision_strategy" in names:
        body["concurrency_options"] = spec.collision_strategy and {"collision_strategy": spec.collision_strategy}
    return body


def _schedule(spec: ScheduleSpec) -> dict[str, Any]:
    return {
        "slug": spec.slug,
        "active": spec.active,
        "schedule": {"cron": spec.cron, "timezone": spec.timezone, "day_or": spec.day_or},
    }


def _read_schedule(raw: Mapping[str, Any]) -> ScheduleSpec:
    cron = raw["schedule"]
    return ScheduleSpec(
        slug=raw["slug"],
        cron=cron["cron"],
        timezone=cron["timezone"] or "UTC",
        active=raw["active"],
        day_or=cron["day_or"],
        group=raw["slug"],
    )
