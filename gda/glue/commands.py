"""Pause and cancel in Prefect are people's commands: GDA asks about them before it promises for many (DESIGN 6).

Only the schedules that are going to be promised for are asked about, many in one call, so that the cost follows what is
due.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from gda.glue.sweeping import PAGE, PAGES
from gda.runner import WakeUp
from gda.settings import Settings
from gda.store import CancelledRun, Store, Watched
from gda.store.commands import OPERATOR

USERS_AT_ONCE = 100
REMEMBERED = timedelta(hours=24)
"""How long after its time a run's cancelling is heeded; a slot is worth an attempt no longer (DESIGN 4)."""

Owner = tuple[str, str]
"""User (empty: the operator) and kind."""
OPERATOR_TAG = "operator"
"""Of the deployments that serve schedules without a user, as ``deployments/operator.py`` makes them."""
Standing = Mapping[str, bool] | None
"""Of a deployment: which of its schedules run, by name; None: it is paused as a whole."""


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
    standing = await _standing(client, watched)
    paused = [one for one in watched if is_paused(one, standing)]
    resumed = [one for one in watched if one.marked and not is_paused(one, standing)]
    skipped = await store.commands.heed_pauses([one.id for one in paused], [one.id for one in resumed])
    now = await store.ledger.now()
    found = await _cancelled(client, now - REMEMBERED, now + max(early, timedelta(0)))
    return skipped + await store.commands.cancel(found)


async def heed_before(call: WakeUp, store: Store, settings: Settings) -> int:
    """As :func:`heed`, for a wake-up that is going to promise for whoever is due; not for one user, nor for a cohort.

    A user's own deployment wakes only while it is not paused, and the members of a cohort have none.
    """
    scope = call.scope
    if scope.of_one or scope.expression is not None or scope.occurrence_ids:
        return 0
    async with get_client() as client:
        return await heed(store, client, early=timedelta(seconds=settings.early_seconds), kind=scope.kind)


def is_paused(one: Watched, standing: Mapping[Owner, Standing]) -> bool:
    """Whether the schedule, or its whole deployment, is paused; what has no deployment of its own is not."""
    schedules = standing.get((one.user_id, one.kind), {})
    return schedules is None or not schedules.get(one.name, True)


def read_standing(deployment: Mapping[str, Any]) -> tuple[Owner, Standing] | None:
    """One item of ``POST /deployments/filter``; None where it is no user's own.

    A schedule that apply itself has switched off carries the tag ``paused:<schedule>``: that was no person's doing.
    """
    tags = deployment["tags"]
    owner = owner_of(tags)
    if owner is None:
        return None
    if deployment["paused"]:
        return owner, None
    return owner, {
        one["slug"]: one["active"] or f"paused:{one['slug']}" in tags
        for one in deployment["schedules"]
        if one.get("slug")
    }


def owner_of(tags: Collection[str]) -> Owner | None:
    """Whose deployment, or run, has these tags, as ``deployments/spec.py`` writes them."""
    user = next((tag.removeprefix("user:") for tag in tags if tag.startswith("user:")), None)
    if user is None and OPERATOR_TAG in tags:
        user = OPERATOR
    kind = next((tag.removeprefix("kind:") for tag in tags if tag.startswith("kind:")), None)
    return (user, kind) if user is not None and kind is not None else None


async def _standing(client: PrefectClient, watched: Sequence[Watched]) -> dict[Owner, Standing]:
    found: dict[Owner, Standing] = {}
    for kind in sorted({one.kind for one in watched}):
        users = sorted({one.user_id for one in watched if one.kind == kind})
        for tags in await _questions(client, kind, users):
            found |= dict(one for each in await _deployments(client, tags) if (one := read_standing(each)))
    return found


async def _questions(client: PrefectClient, kind: str, users: Sequence[str]) -> list[dict[str, list[str]]]:
    """Conditions on tags that together find the users' deployments in the fewest answers."""
    all_of_kind = {"all_": ["gda", f"kind:{kind}"]}
    if len(users) > USERS_AT_ONCE:
        asked = {"deployments": {"tags": all_of_kind}}
        count = (await client.request("POST", "/deployments/count", json=asked)).json()
        if count / PAGE <= len(users) / USERS_AT_ONCE:
            return [all_of_kind]
    starts = range(0, len(users), USERS_AT_ONCE)
    return [all_of_kind | {"any_": [_tag_of(user) for user in users[at : at + USERS_AT_ONCE]]} for at in starts]


def _tag_of(user: str) -> str:
    return OPERATOR_TAG if user == OPERATOR else f"user:{user}"


async def _deployments(client: PrefectClient, tags: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) % PAGE == 0:
        body = {"deployments": {"tags": tags}, "limit": PAGE, "offset": len(found)}
        page = (await client.request("POST", "/deployments/filter", json=body)).json()
        found += page
        if not page:
            break
    return found


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
    owner = owner_of(run.tags)
    if owner is not None and run.auto_scheduled and run.expected_start_time:
        # Prefect's datetimes are of a class of its own, which not every driver takes.
        return CancelledRun(str(run.id), *owner, at=datetime.fromtimestamp(run.expected_start_time.timestamp(), UTC))
    # A drain performs the work of many: whoever cancels it stops that run, not them.
    return CancelledRun(str(run.id)) if owner is not None or "by-hand" in run.tags else None
