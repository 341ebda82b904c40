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
    cohorts: Iterable[Cohort],
    kinds: Mapping[str, KindSpec],
    settings: Settings,
    *,
    there: Collection[str] = (),
    keep_empty: bool = False,
) -> list[DeploymentSpec]:
    """The deployments that serve the cohorts: one each for up to ``max_cohorts``, and a tick per kind for the rest.

    A cohort that has a deployment keeps it before a larger one that has none, so that a change of sizes moves nothing.
    One that cron cannot say (``once``, ``every 7 minutes``) or that no longer parses is left to the kind's drain.

    Args:
        cohorts: those with members, in any order.
        kinds: the flow of each kind.
        settings: pool, ``max_cohorts``, ``shard_runs``.
        there: titles of the cohorts' deployments that Prefect has.
        keep_empty: those of them that nobody is in any more stay, so no other cohort gets their places.

    Raises:
        UnknownKind: a cohort is of a kind that ``kinds`` lacks.
    """
    titles = frozenset(there)
    present = [(_title(one, kinds), one) for one in _present(cohorts, kinds)]
    ranked = sorted(present, key=lambda named: (named[0] not in titles, -named[1].members, named[0]))
    served = {title for title, _ in present}.union(_title_of_tick(kind) for kind in kinds.values())
    empty = len(titles - served) if keep_empty else 0
    specs: list[DeploymentSpec] = []
    rest: set[str] = set()
    for title, one in ranked:
        places = settings.max_cohorts - (0 if title in titles else empty)
        spec = _of_cohort(one, kinds[one.kind], settings) if len(specs) < places else None
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


def _title(one: Cohort, kinds: Mapping[str, KindSpec]) -> str:
    kind = kinds[one.kind]
    return f"{kind.flow_name}/{cohort_name(kind, one.expression, one.timezone)}"


def _name_of_tick(kind: KindSpec) -> str:
    return f"{kind.kind}: {TICK}" if kind.generic else TICK


def _title_of_tick(kind: KindSpec) -> str:
    return f"{kind.flow_name}/{_name_of_tick(kind)}"


def _of_cohort(one: Cohort, kind: KindSpec, settings: Settings) -> DeploymentSpec:
    expression = readable(one.expression)
    name = cohort_name(kind, one.expression, one.timezone)
    crons = schedule_specs("cohort", expression, one.timezone, active=True) if expression else ()
    scope = {"expression": one.expression, "timezone": one.timezone}
    text = describe(expression, one.timezone) if expression else ""
    return _spec(kind, name, crons, scope, f"everybody with {kind.kind} {text}", settings)


def _tick(kind: KindSpec, settings: Settings) -> DeploymentSpec:
    return _spec(
        kind, _name_of_tick(kind), (EVERY_MINUTE,), {}, f"every minute, whatever is due of {kind.kind}", settings
    )


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
