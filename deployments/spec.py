"""What deployments there shall be: pure values made from schedules, without Prefect and without I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from gda.errors import InvalidSchedule, UnknownKind
from gda.schedule import Expression, describe, parse_stored
from gda.settings import Settings
from gda.store.records import Schedule

OWN_TAG = "gda"
USER_TAG = "user:"
KIND_TAG = "kind:"
COHORT_TAG = "cohort"
OPERATOR_TAG = "operator"
DEFAULT_QUEUE = "default"
GENERIC_FLOW = "run-job"
"""Name of the flow that performs any kind."""


@dataclass(frozen=True, slots=True)
class KindSpec:
    """The Prefect flow of a job type: its name, module entry point, version and parameter schema.

    ``kind`` is the job type's present name and ``earlier`` its aliases. A ``generic`` flow serves kinds that have none
    of their own: its deployments are named after kind and user, and tell the flow the kind.
    """

    flow_name: str
    entrypoint: str
    version: str | None = None
    parameter_schema: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    generic: bool = False
    earlier: tuple[str, ...] = ()

    def deployment_name(self, user: str) -> str:
        """What the user's deployment of this kind is called within its flow."""
        return f"{self.kind}:{user}" if self.generic else user

    def parameters(self, user: str) -> dict[str, Any]:
        """What the user's deployment tells the flow."""
        return {"kind": self.kind, "user": user} if self.generic else {"user": user}

    def earlier_titles(self, user: str) -> tuple[str, ...]:
        """What it may be called in Prefect from before the kind was renamed, or had a flow of its own or none."""
        names = (self.kind, *self.earlier)
        return tuple(title for name in names for title in (f"{name}/{user}", f"{GENERIC_FLOW}/{name}:{user}"))


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """One Prefect schedule of a deployment.

    ``group`` is the GDA schedule it belongs to, which may need two crons; the first one's slug equals the group.
    """

    slug: str
    cron: str
    timezone: str
    active: bool = True
    day_or: bool = True
    group: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """A deployment as it shall be, or as it was read back; equal fields mean that nothing needs to be done."""

    flow_name: str
    name: str
    entrypoint: str
    schedules: tuple[ScheduleSpec, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    work_pool: str = "gda"
    work_queue: str = DEFAULT_QUEUE
    description: str = ""
    version: str | None = None
    parameter_schema: Mapping[str, Any] = field(default_factory=dict)
    enforce_parameter_schema: bool = True
    concurrency_limit: int | None = 1
    collision_strategy: str | None = "ENQUEUE"
    pull_steps: tuple[Mapping[str, Any], ...] = ()
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    formerly: tuple[str, ...] = field(default=(), compare=False)
    """Titles under which the same may exist already; what was paused there by hand stays paused."""

    @property
    def title(self) -> str:
        """``flow/deployment``, as Prefect's UI and command line call it."""
        return f"{self.flow_name}/{self.name}"


def user_deployments(
    schedules: Iterable[Schedule], kinds: Mapping[str, KindSpec], settings: Settings
) -> list[DeploymentSpec]:
    """Layout ``user``: one deployment per user and kind, named after the user.

    A schedule that cron cannot say (``once``, ``every 7 minutes``) or whose stored text no longer parses gets no
    Prefect schedule: the kind's drain, which looks every few minutes at all that is due, serves the former. A paused
    schedule or user keeps its deployment with the Prefect schedule off. The operator's schedules are in prefect.yaml.

    Args:
        schedules: all users' schedules, in any order.
        kinds: the flow of each kind.
        settings: pool name.

    Raises:
        UnknownKind: a schedule wants a kind that ``kinds`` lacks.
    """
    present = (replace(one, kind=known_kind(kinds, one.kind).kind or one.kind) for one in schedules if one.user_id)
    mine = sorted(present, key=_owner_and_name)
    groups = ((owner, list(group)) for owner, group in groupby(mine, key=_owner))
    return [_of_user(user, known_kind(kinds, kind), group, settings) for (user, kind), group in groups]


def schedule_specs(group: str, expression: Expression, timezone: str, *, active: bool) -> tuple[ScheduleSpec, ...]:
    """The Prefect schedules of one GDA schedule: one per cron, the second named ``group#2``."""
    place = expression.timezone_fixed or timezone
    return tuple(
        ScheduleSpec(f"{group}#{number}" if number > 1 else group, cron, place, active, expression.day_or, group)
        for number, cron in enumerate(expression.crons, 1)
    )


def readable(expression: str) -> Expression | None:
    """A stored expression as a value; None where it no longer parses."""
    try:
        return parse_stored(expression)
    except InvalidSchedule:
        return None


def _owner(schedule: Schedule) -> tuple[str, str]:
    return schedule.user_id or "", schedule.kind


def _owner_and_name(schedule: Schedule) -> tuple[str, str, str]:
    return *_owner(schedule), schedule.name


def known_kind(kinds: Mapping[str, KindSpec], kind: str) -> KindSpec:
    """The flow of a schedule's kind. Raises UnknownKind."""
    try:
        return kinds[kind]
    except KeyError:
        raise UnknownKind(
            f"a schedule wants kind {kind!r}, which no flow serves (there is {', '.join(sorted(kinds))}): "
            "install its package, or remove the schedule"
        ) from None


def _of_user(user: str, kind: KindSpec, schedules: list[Schedule], settings: Settings) -> DeploymentSpec:
    read = [(one, readable(one.expression)) for one in schedules]
    crons = (
        schedule_specs(one.name, expression, one.timezone, active=one.active) for one, expression in read if expression
    )
    return DeploymentSpec(
        flow_name=kind.flow_name,
        name=kind.deployment_name(user),
        entrypoint=kind.entrypoint,
        schedules=tuple(spec for specs in crons for spec in specs),
        parameters=kind.parameters(user),
        tags=tuple(sorted((OWN_TAG, f"{USER_TAG}{user}", f"{KIND_TAG}{schedules[0].kind}"))),
        work_pool=settings.prefect_pool,
        description="; ".join(_sentence(one, expression, named=len(read) > 1) for one, expression in read),
        version=kind.version,
        parameter_schema=kind.parameter_schema,
        formerly=kind.earlier_titles(user),
    )


def _sentence(schedule: Schedule, expression: Expression | None, *, named: bool) -> str:
    if expression is None:
        text = f"not scheduled: {schedule.expression!r} is no valid schedule any more"
    else:
        text = describe(expression, schedule.timezone)
        if not expression.crons:
            text += " (no cron can say this: the drain serves it)"
    return f"{schedule.name}: {text}" if named else text
