"""Pauses that people made in Prefect outlive the deployments they were made on: what goes hands them to GDA.

When the layout changes, a person's paused deployment is deleted; without this, whatever takes its place would run what
that person had stopped.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deployments.plan import PAUSED_TAG, Existing, Plan
from deployments.spec import COHORT_TAG, KIND_TAG, USER_TAG
from gda.store.records import Schedule

if TYPE_CHECKING:
    from gda.store import Store


async def keep_pauses(store: "Store", found: Plan) -> list[Schedule]:
    """Pause in GDA the schedules whose deployments a person has paused and the plan deletes.

    Args:
        store: schedules.
        found: the plan, before it is carried out.

    Returns:
        The schedules that were paused; `gda schedule resume` lets them go on.
    """
    kept: list[Schedule] = []
    for gone in _paused_and_gone(found):
        for one in await store.schedules.all(kind=_after(KIND_TAG, gone), user_id=_after(USER_TAG, gone)):
            if one.enabled and _serves(gone, one):
                kept.append(await store.schedules.enable(one.user_id, one.kind, one.name, enabled=False))
    return kept


def _paused_and_gone(found: Plan) -> Iterator[Existing]:
    # What only gets another name keeps its pause under the new one.
    renamed = {title for spec in found.create for title in spec.formerly}
    return (one for one in found.delete if one.spec.title not in renamed and (one.spec.paused or _switched_off(one)))


def _serves(gone: Existing, one: Schedule) -> bool:
    if _after(USER_TAG, gone) is not None:
        return gone.spec.paused or one.name in _switched_off(gone)
    cohort = {"expression": one.expression, "timezone": one.timezone}
    return COHORT_TAG in gone.spec.tags and cohort.items() <= dict(gone.spec.parameters).items()


def _switched_off(gone: Existing) -> set[str]:
    """The Prefect schedules that a person, not apply, has switched off."""
    off = {one.slug for one in gone.spec.schedules if not one.active}
    return {slug for slug in off if f"{PAUSED_TAG}{slug}" not in gone.spec.tags}


def _after(prefix: str, gone: Existing) -> str | None:
    return next((tag.removeprefix(prefix) for tag in gone.spec.tags if tag.startswith(prefix)), None)
