"""Pause and cancel in Prefect are people's commands: GDA asks about them before it promises for many (DESIGN 6).

Only the schedules that are going to be promised for are asked about, many in one call, so that the cost follows what is
due.
"""

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from gda.glue.sweeping import PAGE, PAGES
from gda.glue.switches import Owner, Shared, ask_switchboard, is_paused, owner_of, shared_by
from gda.runner import WakeUp
from gda.settings import Settings
from gda.store import CancelledRun, Scope, Store
from gda.store.commands import OPERATOR

REMEMBERED = timedelta(hours=24)
"""How long after its time a run's cancelling is heeded; a slot is worth an attempt no longer (DESIGN 4)."""


async def heed(store: Store, client: PrefectClient, *, early: timedelta, kind: str | None = None) -> int:
    """Carry people's pauses and cancels into the ledger, before slots are promised.

    Args:
        store: where schedules are marked and slots skipped.
        client: an open Prefect client.
        early: slots due by now plus this are going to be promised.
        kind: only for this kind.

    Returns:
        How many slots were skipped.
    """
    watched = await store.commands.watched(early, kind)
    board = await ask_switchboard(client, watched)
    paused = [one for one in watched if is_paused(one, board)]
    resumed = [one for one in watched if one.marked and not is_paused(one, board)]
    skipped = await store.commands.heed_pauses([one.id for one in paused], [one.id for one in resumed])
    now = await store.ledger.now()
    found = await _cancelled(client, now - REMEMBERED, now + max(early, timedelta(0)))
    return skipped + await store.commands.cancel(found)


async def heed_before(call: WakeUp, store: Store, settings: Settings) -> int:
    """As :func:`heed`, for a wake-up that is going to promise for whoever is due; not for one user, nor for a cohort.

    A deployment of their own wakes only while it is not paused.
    """
    scope = call.scope
    if scope.of_one or scope.expression is not None or scope.occurrence_ids:
        return 0
    async with get_client() as client:
        return await heed(store, client, early=timedelta(seconds=settings.early_seconds), kind=scope.kind)


async def _cancelled(client: PrefectClient, since: datetime, until: datetime) -> list[CancelledRun]:
    wanted = {
        "tags": {"all_": ["gda"]},
        "state": {"name": {"any_": ["Cancelled"]}},
        "expected_start_time": {"after_": since, "before_": until},
    }
    asked = FlowRunFilter.model_validate(wanted)
    found: list[FlowRun] = []
    for page in range(PAGES):
        part = await client.read_flow_runs(
            flow_run_filter=asked, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=PAGE, offset=page * PAGE
        )
        found += part
        if len(part) < PAGE:
            break
    return [one for run in found if (one := _command(run))]


def _command(run: FlowRun) -> CancelledRun | None:
    owner, shared = owner_of(run.tags), shared_by(run.tags, run.parameters)
    if run.auto_scheduled and run.expected_start_time and (owner or shared):
        # Prefect's datetimes are of a class of its own, which not every driver takes.
        at = datetime.fromtimestamp(run.expected_start_time.timestamp(), UTC)
        return CancelledRun(str(run.id), _scope(owner, shared), at)
    # A drain performs the work of many: whoever cancels it stops that run, not them.
    return CancelledRun(str(run.id)) if owner is not None or "by-hand" in run.tags else None


def _scope(owner: Owner | None, shared: Shared | None) -> Scope | None:
    if owner is not None:
        user, kind = owner
        return Scope.owned(kind, None if user == OPERATOR else user)
    # A tick names no slot: it wakes each minute for whatever is due.
    return (
        Scope(shared.kind, expression=shared.expression, timezone=shared.timezone)
        if shared and shared.expression
        else None
    )
