"""Layout ``cohort``: one deployment for all users of a kind who share expression and timezone.

Members are looked up when it runs, so users come and go without a call to Prefect. Beyond ``GDA_MAX_COHORTS`` the
smaller cohorts of a kind share its ``tick``, which wakes every minute for whatever is due of the kind.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from deployments.spec import (
    COHORT_TAG,
    KIND_TAG,
    OWN_TAG,
    DeploymentSpec,
    KindSpec,
    ScheduleSpec,
    known_kind,
    readable,
    schedule_specs,
)
from gda.schedule import describe
from gda.settings import Settings
from gda.store.cohorts import Cohort

TICK = "tick"
EVERY_MINUTE = ScheduleSpec(TICK, "* * * * *", "UTC", group=TICK)


def cohort_deployments(
    cohorts: Iterable[Cohort], kinds: Mapping[str, KindSpec], settings: Settings, *, there: Collection[str] = ()
) -> list[DeploymentSpec]:
    """The deployments that serve the cohorts: one each for up to ``max_cohorts``, and a tick per kind for the rest.

    A cohort that has a deployment keeps it before a larger one that has none, so that a change of sizes moves nothing.
    One that cron cannot say (``once``, ``every 7 minutes``) or that no longer parses is left to the kind's drain.

    Args:
        cohorts: those with members, in any order.
        kinds: the flow of each kind.
        settings: pool, ``max_cohorts``, ``shard_runs``.
        there: titles of the deployments that Prefect has.

    Raises:
        UnknownKind: a cohort is of a kind that ``kinds`` lacks.
    """
    titles = frozenset(there)
    ranked = sorted(_present(cohorts, kinds), key=lambda one: _rank(one, kinds, titles))
    specs: list[DeploymentSpec] = []
    rest: set[str] = set()
    for one in ranked:
        spec = _of_cohort(one, kinds[one.kind], settings) if len(specs) < settings.max_cohorts else None
        if spec is None:
            rest.add(one.kind)
        elif spec.schedules:
            specs.append(spec)
    return specs + [_tick(kinds[kind], settings) for kind in sorted(rest)]


def cohort_name(kind: KindSpec, expression: str, timezone: str) -> str:
    """What a cohort's deployment is called, without the signs that Prefect refuses in names (``/ % & < >``)."""
    name = f"{expression} {timezone.replace('/', '-')}"
    return f"{kind.kind}: {name}" if kind.generic else name


def _present(cohorts: Iterable[Cohort], kinds: Mapping[str, KindSpec]) -> list[Cohort]:
    """The cohorts under their kinds' present names; what a renamed kind left apart is one again."""
    members: Counter[tuple[str, str, str]] = Counter()
    for one in cohorts:
        members[known_kind(kinds, one.kind).kind or one.kind, one.expression, one.timezone] += one.members
    return [Cohort(*names, number) for names, number in members.items()]


def _rank(one: Cohort, kinds: Mapping[str, KindSpec], there: frozenset[str]) -> tuple[bool, int, str]:
    kind = kinds[one.kind]
    title = f"{kind.flow_name}/{cohort_name(kind, one.expression, one.timezone)}"
    return title not in there, -one.members, title


def _of_cohort(one: Cohort, kind: KindSpec, settings: Settings) -> DeploymentSpec:
    expression = readable(one.expression)
    name = cohort_name(kind, one.expression, one.timezone)
    crons = schedule_specs("cohort", expression, one.timezone, active=True) if expression else ()
    scope = {"expression": one.expression, "timezone": one.timezone}
    text = describe(expression, one.timezone) if expression else ""
    return _spec(kind, name, crons, scope, f"everybody with {kind.kind} {text}", settings)


def _tick(kind: KindSpec, settings: Settings) -> DeploymentSpec:
    name = f"{kind.kind}: {TICK}" if kind.generic else TICK
    return _spec(kind, name, (EVERY_MINUTE,), {}, f"every minute, whatever is due of {kind.kind}", settings)


def _spec(
    kind: KindSpec,
    name: str,
    schedules: tuple[ScheduleSpec, ...],
    scope: Mapping[str, str],
    description: str,
    settings: Settings,
) -> DeploymentSpec:
    return DeploymentSpec(
        flow_name=kind.flow_name,
        name=name,
        entrypoint=kind.entrypoint,
        schedules=schedules,
        parameters={"kind": kind.kind, **scope} if kind.generic else dict(scope),
        tags=tuple(sorted((OWN_TAG, COHORT_TAG, f"{KIND_TAG}{kind.kind}"))),
        work_pool=settings.prefect_pool,
        description=description,
        version=kind.version,
        parameter_schema=kind.parameter_schema,
        # A large batch asks for further runs of its own deployment, which share it (gda/glue/shards.py).
        concurrency_limit=1 + settings.shard_runs,
    )
