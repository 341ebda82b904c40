"""A plan from what is stored: schedules or cohorts, system jobs, and what Prefect has just now."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from deployments.apply import read_existing
from deployments.cohorts import cohort_deployments
from deployments.kinds import GENERIC, load_kind, load_kinds
from deployments.operator import operator_deployments
from deployments.plan import Plan, plan
from deployments.spec import COHORT_TAG, DeploymentSpec, user_deployments
from gda.leadership import Leadership
from gda.settings import Settings
from gda.store.cohorts import Cohort

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from gda.store import Store


LEASE = "apply"
LEASE_TTL = timedelta(seconds=60)


@asynccontextmanager
async def applying(store: "Store", settings: Settings) -> AsyncIterator[Leadership]:
    """Be the only one who plans and applies: two who did it at once would act on what the other has changed.

    Args:
        store: where the lease is kept; one whose holder went away lasts a minute.
        settings: who this instance is, and whether it is the only one.

    Raises:
        NotLeader: somebody else is at it.
    """
    owner = f"{settings.instance_id or LEASE}:{uuid4()}"
    async with Leadership(store.leases, LEASE, owner, LEASE_TTL, seize=settings.single_instance) as leader:
        leader.require()
        yield leader


async def make_plan(
    store: "Store",
    client: "PrefectClient",
    settings: Settings,
    *,
    system: Collection[DeploymentSpec] = (),
    prune: bool = False,
    cohorts: Sequence[Cohort] | None = None,
) -> Plan:
    """Compare what is wanted with what Prefect has.

    Args:
        store: schedules.
        client: an open Prefect client.
        settings: layout, pool, ``max_cohorts``.
        system: the system jobs, where they shall be compared too.
        prune: delete cohorts that nobody is in any more.
        cohorts: as counted just now; counted here when not given.

    Raises:
        Unavailable: the API cannot be reached or refuses.
        UnknownKind: a schedule wants a kind that no flow serves.
    """
    existing = await read_existing(client)
    there = [one.spec.title for one in existing if COHORT_TAG in one.spec.tags]
    keep_empty = settings.layout == "cohort" and not prune
    people = await people_deployments(store, settings, there=there, keep_empty=keep_empty, cohorts=cohorts)
    return plan([*people, *system], existing, keep_empty=keep_empty)


async def people_deployments(
    store: "Store",
    settings: Settings,
    *,
    there: Collection[str] = (),
    keep_empty: bool = False,
    cohorts: Sequence[Cohort] | None = None,
) -> list[DeploymentSpec]:
    """The deployments that serve the operator's schedules, and users' in the layout of ``settings``."""
    in_cohorts, kinds = settings.layout == "cohort", load_kinds()
    # Cohorts are counted where they are stored: of a hundred thousand users' schedules none is read here.
    schedules = await store.schedules.all(operator=in_cohorts)
    own = operator_deployments(schedules, kinds, load_kind(GENERIC), settings)
    if in_cohorts:
        counted = await store.cohorts.all() if cohorts is None else cohorts
        return own + cohort_deployments(counted, kinds, settings, there=there, keep_empty=keep_empty)
    return own + user_deployments(schedules, kinds, settings)
