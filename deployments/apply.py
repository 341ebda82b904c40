"""The single writer of deployments: it reads what Prefect has and carries out a plan."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from deployments.plan import Existing, Plan, Update
from deployments.spec import OWN_TAG, DeploymentSpec
from deployments.wire import create_payload, read_back, removed_schedules, update_payload
from gda.errors import Unavailable

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import PrefectClient
    from prefect.client.orchestration.base import HTTP_METHODS

CONCURRENT_CALLS = 2
"""Calls under way at once: the server works on one while we make the next.

A server on SQLite writes one at a time, and what waits there is refused in the end ("database is locked", 503). Created
in a file on two busy cores, in ms each: one at once 184 to 515, two 279, eight 574 to 1,066; in memory 121 to 143, 117,
and 71 to 117 (Prefect 3.8.8, 30 to 40 deployments each).
"""
PAGE = 200
"""The most that Prefect's API gives in one answer."""
BULK = 50
"""The most that Prefect's API deletes in one call."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was written, counted."""

    created: int
    updated: int
    deleted: int
    unchanged: int


async def read_existing(client: "PrefectClient") -> list[Existing]:
    """The deployments that carry GDA's tag, by name.

    Raises:
        Unavailable: the API cannot be reached or refuses.
    """
    try:
        raw = await _pages(client, "/deployments/filter", {"deployments": {"tags": {"all_": [OWN_TAG]}}})
        names = await _flow_names(client, {one["flow_id"] for one in raw})
    except Exception as error:
        raise failure(error, client, "reading deployments") from error
    return [read_back(one, names[one["flow_id"]]) for one in raw if one["flow_id"] in names]


async def apply(plan: Plan, client: "PrefectClient", *, on_progress: Progress | None = None) -> Applied:
    """Carry out a plan.

    Several calls run at once. An apply that was interrupted is completed by planning and applying again: each write
    says what shall be, never what to add.

    Args:
        plan: made from what ``read_existing`` returned just now.
        client: an open Prefect client; it repeats calls to a server that is busy by itself.
        on_progress: called with one line per deployment written.

    Raises:
        Unavailable: the API cannot be reached or refuses; what was written until then stays.
    """
    say = on_progress or (lambda line: None)
    try:
        flows = await _register_flows(client, plan.create)
        await _together(_create(client, spec, flows[spec.flow_name], say) for spec in plan.create)
        await _together(_update(client, one, say) for one in plan.update)
        await _delete(client, plan.delete, say)
    except Exception as error:
        raise failure(error, client, "writing deployments") from error
    return Applied(len(plan.create), len(plan.update), len(plan.delete), len(plan.unchanged))


async def _register_flows(client: "PrefectClient", specs: Iterable[DeploymentSpec]) -> dict[str, str]:
    return {name: str(await client.create_flow_from_name(name)) for name in sorted({one.flow_name for one in specs})}


async def _create(client: "PrefectClient", spec: DeploymentSpec, flow_id: str, say: Progress) -> None:
    await _call(client, "POST", "/deployments/", create_payload(spec, flow_id))
    say(f"created {spec.title}")


async def _update(client: "PrefectClient", update: Update, say: Progress) -> None:
    path = f"/deployments/{update.existing.id}"
    # First away with what goes: while a schedule without a slug is there, a PATCH would replace them all.
    for schedule in removed_schedules(update):
        await _tolerating_absence(_call(client, "DELETE", f"{path}/schedules/{schedule}"))
    body = update_payload(update)
    if body:
        await _call(client, "PATCH", path, body)
    say(f"updated {update.spec.title}")


async def _delete(client: "PrefectClient", gone: Sequence[Existing], say: Progress) -> None:
    for some in _chunks(gone, BULK):
        ids = [one.id for one in some]
        await _call(client, "POST", "/deployments/bulk_delete", {"deployments": {"id": {"any_": ids}}, "limit": BULK})
        await _delete_orphans(client, ids)
        for one in some:
            say(f"deleted {one.spec.title}")


async def _delete_orphans(client: "PrefectClient", deployments: list[str]) -> None:
    """Remove runs not yet begun: those waiting for a slot outlive their deployment, and the scheduler may add some."""
    scheduled = {"deployment_id": {"any_": deployments}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    while True:
        answer = await _call(client, "POST", "/flow_runs/bulk_delete", {"flow_runs": scheduled, "limit": BULK})
        if len(answer.json()["deleted"]) < BULK:
            return


async def _together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await them all, a bounded number at once; the first failure stops the rest."""
    waiting: Iterator[Coroutine[Any, Any, None]] = iter(calls)

    async def work() -> None:
        for call in waiting:
            await call

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENT_CALLS):
            group.create_task(work())


async def _call(client: "PrefectClient", method: "HTTP_METHODS", path: Any, body: Any = None) -> "httpx.Response":
    # Prefect types ``path`` as one of the routes it knew when that list was written; the bulk ones came later.
    return await client.request(method, path, json=body)


async def _tolerating_absence(call: Coroutine[Any, Any, Any]) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        await call
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 404:
            raise


async def _pages(client: "PrefectClient", path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        body = query | {"limit": PAGE, "offset": len(found)}
        page = (await _call(client, "POST", path, body)).json()
        found += page
        if len(page) < PAGE:
            return found


async def _flow_names(client: "PrefectClient", ids: set[str]) -> dict[str, str]:
    flows = await _pages(client, "/flows/filter", {"flows": {"id": {"any_": sorted(ids)}}}) if ids else []
    return {one["id"]: one["name"] for one in flows}


def _chunks(items: Sequence[Existing], size: int) -> Iterator[list[Existing]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def failure(error: Exception, client: "PrefectClient", doing: str) -> Exception:
    """What a person is told when the API fails; errors that are not the API's pass as they are."""
    import httpx

    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, httpx.HTTPStatusError):
        reason = f"answered {error.response.status_code}: {error.response.text[:300]}"
    elif isinstance(error, httpx.HTTPError):
        reason = f"cannot be reached ({type(error).__name__})"
    else:
        return error
    return Unavailable(
        f"{doing} failed: the Prefect API at {client.api_url} {reason}; what was written stays, so run the same again"
    )
