"""The single writer of deployments: it reads what Prefect has and carries out a plan."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from deployments.calls import BULK, call, pages, together, tolerating_absence
from deployments.orphans import remove_runs, remove_runs_of_replaced_schedules
from deployments.plan import Existing, Plan, Update
from deployments.spec import OWN_TAG, DeploymentSpec
from deployments.wire import create_payload, read_back, removed_schedules, update_payload
from gda.errors import Unavailable

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

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
        raw = await pages(client, "/deployments/filter", {"deployments": {"tags": {"all_": [OWN_TAG]}}})
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
        repeated: list[Any] = []
        await together(_create(client, spec, flows[spec.flow_name], say, repeated) for spec in plan.create)
        await together(_update(client, one, say) for one in plan.update)
        await _delete(client, plan.delete, say)
        if repeated:
            await remove_runs_of_replaced_schedules(client, repeated)
    except Exception as error:
        raise failure(error, client, "writing deployments") from error
    return Applied(len(plan.create), len(plan.update), len(plan.delete), len(plan.unchanged))


async def _register_flows(client: "PrefectClient", specs: Iterable[DeploymentSpec]) -> dict[str, str]:
    """The ids of their flows; one that Prefect knows costs no write."""
    names = {one.flow_name for one in specs}
    wanted = {"flows": {"name": {"any_": sorted(names)}}}
    known = {one["name"]: one["id"] for one in await pages(client, "/flows/filter", wanted)} if names else {}
    return known | {name: str(await client.create_flow_from_name(name)) for name in sorted(names - known.keys())}


async def _create(
    client: "PrefectClient", spec: DeploymentSpec, flow_id: str, say: Progress, repeated: list[Any]
) -> None:
    answer = await call(client, "POST", "/deployments/", create_payload(spec, flow_id))
    if answer.status_code == HTTPStatus.OK:  # 201 had it not been there.
        repeated.append(answer.json())
    say(f"created {spec.title}")


async def _update(client: "PrefectClient", update: Update, say: Progress) -> None:
    path = f"/deployments/{update.existing.id}"
    # First away with what goes: while a schedule without a slug is there, a PATCH would replace them all.
    for schedule in removed_schedules(update):
        await tolerating_absence(call(client, "DELETE", f"{path}/schedules/{schedule}"))
    body = update_payload(update)
    if body:
        await call(client, "PATCH", path, body)
    say(f"updated {update.spec.title}")


async def _delete(client: "PrefectClient", gone: Sequence[Existing], say: Progress) -> None:
    for some in _chunks(gone, BULK):
        ids = [one.id for one in some]
        await call(client, "POST", "/deployments/bulk_delete", {"deployments": {"id": {"any_": ids}}, "limit": BULK})
        await remove_runs(client, ids)
        for one in some:
            say(f"deleted {one.spec.title}")


async def _flow_names(client: "PrefectClient", ids: set[str]) -> dict[str, str]:
    flows = await pages(client, "/flows/filter", {"flows": {"id": {"any_": sorted(ids)}}}) if ids else []
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
