"""System jobs and what all deployments stand on: ``prefect.yaml``, work pools, queues and blocks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blocks
from deployments.apply import Applied, Progress, apply, failure, read_existing
from deployments.kinds import load_kind
from deployments.limits import ensure_limits
from deployments.plan import plan
from deployments.pools import SYSTEM_SUFFIX, ensure_pool, pool_specs
from deployments.spec import DEFAULT_QUEUE, DeploymentSpec, KindSpec, ScheduleSpec, schedule_specs
from gda.errors import Unavailable, UsageError
from gda.glue.api import require_closed_api
from gda.schedule import parse
from gda.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

FILE = "prefect.yaml"
LITERAL_POOL = "gda"
"""How prefect.yaml spells the pool whose real name is ``GDA_PREFECT_POOL``."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The settings that stand over the first schedule of a system job."""

    cron: str
    enabled: str


OVERLAYS: Mapping[tuple[str, str], Overlay] = {
    ("flows.digest.deliver_digests", "drain"): Overlay("digest_drain_cron", "digest_drain_enabled"),
    ("flows.recurring_tasks.process_recurring_tasks", "scan"): Overlay(
        "recurring_tasks_cron", "recurring_tasks_enabled"
    ),
    ("flows.overdue_scan.scan_overdue", "scan"): Overlay("overdue_scan_cron", "overdue_scan_enabled"),
    ("flows.reminders.send_reminders", "drain"): Overlay("reminders_cron", "reminders_enabled"),
    ("flows.token_refresh.refresh_tokens", "drain"): Overlay("token_refresh_cron", "token_refresh_enabled"),
    ("flows.sweep.sweep_once", "sweep"): Overlay("sweep_cron", "sweep_enabled"),
    ("flows.retention.prune_old_rows", "retention"): Overlay("retention_cron", "retention_enabled"),
    ("deployments.nightly.apply_at_night", "nightly"): Overlay("apply_cron", "apply_enabled"),
}
"""By entry point and deployment name."""


def find_file() -> Path:
    """Where prefect.yaml lies: in the installed package, beside it in a clone, or in the working directory.

    Raises:
        Unavailable: in none of these.
    """
    package = Path(__file__).parent
    for folder in (package, package.parent, Path.cwd()):
        if (folder / FILE).is_file():
            return folder / FILE
    raise Unavailable(f"{FILE} is neither with the installed package nor in {Path.cwd()}; run this from a clone's root")


def read_system_specs(
    path: Path, settings: Settings, *, load: Callable[[str], KindSpec] = load_kind
) -> list[DeploymentSpec]:
    """The system deployments of prefect.yaml with the settings laid over.

    Args:
        path: the file.
        settings: crons, switches and the pool's name.
        load: how a flow is read by entry point.

    Raises:
        Unavailable: the file cannot be read.
        UsageError: it is not what ``prefect deploy`` reads, or a setting is no valid schedule.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = [_spec(entry, settings, load) for entry in document["deployments"]]
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no prefect.yaml that GDA can read ({error!r}); restore it from the release"
        ) from error
    return entries


async def apply_system(
    client: "PrefectClient", settings: Settings, prefect_yaml: Path, *, on_progress: Progress | None = None
) -> Applied:
    """Make pools, queues, blocks and the system deployments; doing it again changes nothing.

    Args:
        client: an open Prefect client.
        settings: limits, crons, switches, and all that the blocks carry to workers.
        prefect_yaml: the file with the system jobs.
        on_progress: called with one line per thing written.

    Returns:
        The counts of deployments.

    Raises:
        Unavailable: the API is away, or open to others: it would show them GDA's secrets.
        UsageError: a setting is wrong.
    """
    from deployments.automations import ensure_automation

    say = on_progress or (lambda line: None)
    specs = read_system_specs(prefect_yaml, settings)
    await require_closed_api()
    try:
        for pool in pool_specs(settings):
            if await ensure_pool(client, pool):
                say(f"wrote work pool {pool.name}")
        for limit in await ensure_limits(client, settings):
            say(f"wrote limit {limit}")
        for saved in await blocks.register_all(settings):
            say(f"saved block {saved}")
    except Exception as error:
        raise failure(error, client, "writing pools and blocks") from error
    if await ensure_automation(client, settings):
        say("wrote the automation that tells of dead letters")
    titles = {spec.title for spec in specs}
    there = [one for one in await read_existing(client) if one.spec.title in titles]
    return await apply(plan(specs, there), client, on_progress=on_progress)


def _spec(entry: Mapping[str, Any], settings: Settings, load: Callable[[str], KindSpec]) -> DeploymentSpec:
    kind = load(entry["entrypoint"])
    pool, limit = entry["work_pool"], entry.get("concurrency_limit") or {}
    return DeploymentSpec(
        flow_name=kind.flow_name,
        name=entry["name"],
        entrypoint=kind.entrypoint,
        schedules=_schedules(entry, settings),
        parameters=entry.get("parameters") or {},
        tags=tuple(sorted(entry["tags"])),
        work_pool=_pool(pool["name"], settings),
        work_queue=pool.get("work_queue_name") or DEFAULT_QUEUE,
        description=entry["description"],
        version=entry.get("version") or kind.version,
        parameter_schema=kind.parameter_schema,
        concurrency_limit=limit.get("limit"),
        collision_strategy=limit.get("collision_strategy"),
        job_variables=pool.get("job_variables") or {},
    )


def _pool(written: str, settings: Settings) -> str:
    ours = {LITERAL_POOL: settings.prefect_pool, LITERAL_POOL + SYSTEM_SUFFIX: settings.prefect_pool + SYSTEM_SUFFIX}
    return ours.get(written, written)


def _schedules(entry: Mapping[str, Any], settings: Settings) -> tuple[ScheduleSpec, ...]:
    literal = tuple(
        ScheduleSpec(
            one["slug"],
            one["cron"],
            one["timezone"],
            one.get("active", True),
            one.get("day_or", True),
            group=one["slug"],
        )
        for one in entry.get("schedules") or ()
    )
    overlay = OVERLAYS.get((entry["entrypoint"], entry["name"]))
    if overlay is None or not literal:
        return literal
    expression = parse(getattr(settings, overlay.cron), max_runs_per_day=None)
    if not expression.crons:
        raise UsageError(
            f"GDA_{overlay.cron.upper()}={str(expression)!r} cannot be said in cron, so nothing would start the job; "
            f"write such as {literal[0].cron!r}"
        )
    enabled = bool(getattr(settings, overlay.enabled))
    first = literal[0]
    return (*schedule_specs(first.slug, expression, first.timezone, active=enabled and first.active), *literal[1:])
