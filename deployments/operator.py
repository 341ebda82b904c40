"""The operator's own schedules: one deployment of each kind, ``run-job/operator KIND``, a Prefect schedule for each.

Its runs serve all of the operator's schedules of the kind that are due, as a user's runs do the user's; quick-run means
the latest slot due by now, and a schedule may be switched off in Prefect's UI.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby

from deployments.spec import (
    KIND_TAG,
    OPERATOR_TAG,
    OWN_TAG,
    DeploymentSpec,
    KindSpec,
    known_kind,
    readable,
    schedule_specs,
)
from gda.schedule import Cron, Expression, Once, describe
from gda.settings import Settings
from gda.store.records import Schedule


def operator_deployments(
    schedules: Iterable[Schedule], kinds: Mapping[str, KindSpec], generic: KindSpec, settings: Settings
) -> list[DeploymentSpec]:
    """The deployments that serve schedules without a user, by kind.

    ``once`` gets a cron that comes every year, for Prefect's knows none: where nothing is due, a run does nothing. What
    no cron can say at all (``every 7 minutes``) is left to the sweep.

    Args:
        schedules: all schedules, in any order; users' are left out.
        kinds: the flow of each kind, under its earlier names too.
        generic: the flow that performs any kind.
        settings: pool name.

    Raises:
        UnknownKind: a schedule wants a kind that ``kinds`` lacks.
    """
    present = (replace(one, kind=known_kind(kinds, one.kind).kind) for one in schedules if one.user_id is None)
    mine = sorted(present, key=lambda one: (one.kind, one.name))
    groups = groupby(mine, key=lambda one: one.kind)
    return [_of_kind(kind, list(group), generic, settings) for kind, group in groups]


def _of_kind(kind: str, schedules: list[Schedule], generic: KindSpec, settings: Settings) -> DeploymentSpec:
    read = [(one, readable(one.expression)) for one in schedules]
    crons = (
        schedule_specs(one.name, _as_cron(expression), one.timezone, active=one.active)
        for one, expression in read
        if expression is not None
    )
    return DeploymentSpec(
        flow_name=generic.flow_name,
        name=f"operator {kind}",
        entrypoint=generic.entrypoint,
        schedules=tuple(spec for specs in crons for spec in specs),
        parameters={"kind": kind, "operator": True},
        tags=tuple(sorted((OWN_TAG, OPERATOR_TAG, f"{KIND_TAG}{kind}"))),
        work_pool=settings.prefect_pool,
        description="; ".join(_sentence(one, expression) for one, expression in read),
        version=generic.version,
        parameter_schema=generic.parameter_schema,
    )


def _as_cron(expression: Expression) -> Expression:
    if not isinstance(expression, Once):
        return expression
    at = expression.at
    return Cron((at.minute,), (at.hour,), (at.day,), (at.month,))


def _sentence(schedule: Schedule, expression: Expression | None) -> str:
    if expression is None:
        return f"{schedule.name}: not scheduled: {schedule.expression!r} is no valid schedule any more"
    left = "" if _as_cron(expression).crons else " (no cron can say this: the sweep serves it)"
    return f"{schedule.name}: {describe(expression, schedule.timezone)}{left}"
