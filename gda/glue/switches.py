"""What is paused in Prefect: schedules, deployments of one owner, and cohorts, as people switched them off there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect.client.orchestration import PrefectClient

from gda.glue.sweeping import PAGE
from gda.store import Watched
from gda.store.commands import OPERATOR

OWNERS_AT_ONCE = 100

Owner = tuple[str, str]
"""User (empty: the operator) and kind."""
OPERATOR_TAG = "operator"
"""Of the deployments that serve schedules without a user, as ``deployments/operator.py`` makes them."""
COHORT_TAG = "cohort"
"""Of the deployments that serve many, as ``deployments/cohorts.py`` makes them."""
Switches = Mapping[str, bool] | None
"""Of a deployment: which of its schedules run, by name; None: it is paused as a whole."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Whom a cohort's deployment serves; ``expression`` and ``timezone`` None: it is the kind's tick."""

    kind: str
    expression: str | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Switchboard:
    """The deployments that serve some schedules, as they stand in Prefect."""

    owners: Mapping[Owner, Switches] = field(default_factory=dict)
    shared: Mapping[Shared, Switches] = field(default_factory=dict)


def is_paused(one: Watched, board: Switchboard) -> bool:
    """Whether the schedule, or the whole deployment that serves it, is paused; what none serves is not."""
    if (one.user_id, one.kind) in board.owners:
        switches = board.owners[one.user_id, one.kind]
        return switches is None or not switches.get(one.name, True)
    if one.user_id == OPERATOR:
        return False
    tick = board.shared.get(Shared(one.kind), {})
    switches = board.shared.get(Shared(one.kind, one.expression, one.timezone), tick)
    return switches is None or (bool(switches) and not any(switches.values()))


def read_switchboard(deployments: Sequence[Mapping[str, Any]]) -> Switchboard:
    """Items of ``POST /deployments/filter``; those that serve neither one owner nor a cohort are left out.

    A schedule that apply itself has switched off carries the tag ``paused:<schedule>``: that was no person's doing.
    """
    return Switchboard(
        {owner: _switches(one) for one in deployments if (owner := owner_of(one["tags"])) is not None},
        {shared: _switches(one) for one in deployments if (shared := shared_by(one["tags"], one["parameters"]))},
    )


def owner_of(tags: Collection[str]) -> Owner | None:
    """Whose deployment, or run, has these tags, as ``deployments/spec.py`` writes them."""
    user = next(_after("user:", tags), None)
    if user is None and OPERATOR_TAG in tags:
        user = OPERATOR
    kind = next(_after("kind:", tags), None)
    return (user, kind) if user is not None and kind is not None else None


def shared_by(tags: Collection[str], parameters: Mapping[str, Any]) -> Shared | None:
    """Whom a deployment, or run, with these tags and parameters serves, where they are many."""
    kind = next(_after("kind:", tags), None)
    if kind is None or COHORT_TAG not in tags:
        return None
    return Shared(kind, parameters.get("expression"), parameters.get("timezone"))


def _after(prefix: str, tags: Collection[str]) -> Iterator[str]:
    return (tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix))


def _switches(deployment: Mapping[str, Any]) -> Switches:
    if deployment["paused"]:
        return None
    tags = deployment["tags"]
    return {
        one["slug"]: one["active"] or f"paused:{one['slug']}" in tags
        for one in deployment["schedules"]
        if one.get("slug")
    }


async def ask_switchboard(client: PrefectClient, watched: Sequence[Watched]) -> Switchboard:
    """Ask Prefect about the deployments that serve ``watched``, many in one call."""
    found: list[dict[str, Any]] = []
    for kind in sorted({one.kind for one in watched}):
        users = sorted({one.user_id for one in watched if one.kind == kind})
        for tags in await _questions(client, kind, users):
            found += await _deployments(client, tags)
    return read_switchboard(found)


async def _questions(client: PrefectClient, kind: str, users: Sequence[str]) -> list[dict[str, list[str]]]:
    """Conditions on tags that together find the users' deployments, and the cohorts, in the fewest answers."""
    all_of_kind = {"all_": ["gda", f"kind:{kind}"]}
    if len(users) > OWNERS_AT_ONCE:
        asked = {"deployments": {"tags": all_of_kind}}
        count = (await client.request("POST", "/deployments/count", json=asked)).json()
        if count / PAGE <= len(users) / OWNERS_AT_ONCE:
            return [all_of_kind]
    wanted = [COHORT_TAG, *(_tag_of(user) for user in users)]
    return [all_of_kind | {"any_": wanted[at : at + OWNERS_AT_ONCE]} for at in range(0, len(wanted), OWNERS_AT_ONCE)]


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
