"""What people write without GDA: one deployment per user, in a loop over Prefect's own ``RunnerDeployment.apply``."""

import time
from collections.abc import Sequence

from prefect import flow
from prefect.client.orchestration import PrefectClient
from prefect.schedules import Cron

from bench.crowd import Person
from gda.schedule import parse

PAGE = 50


@flow(name="plain-digest", version="1")
async def deliver_plainly(user: str) -> None:
    """A flow that is deployed only."""


async def deploy_plainly(people: Sequence[Person], pool: str) -> float:
    """Deploy the flow for each of ``people`` to ``pool``, one after the other; the seconds it took."""
    started = time.perf_counter()
    for one in people:
        schedules = [Cron(cron, timezone=one.timezone) for cron in parse(one.expression).crons]
        deployment = await deliver_plainly.ato_deployment(
            one.id, schedules=schedules, parameters={"user": one.id}, tags=["plain", one.id]
        )
        await deployment.aapply(work_pool_name=pool)
    return time.perf_counter() - started


async def remove_all(client: PrefectClient) -> None:
    """Delete the plain deployments with the runs that Prefect's scheduler has made for them."""
    plain = {"deployments": {"tags": {"all_": ["plain"]}}, "limit": PAGE}
    while True:
        path: object = "/deployments/bulk_delete"  # Prefect types it as one of the routes it knew when that was made.
        answer = await client.request("POST", path, json=plain)  # type: ignore[arg-type]
        if len(answer.json()["deleted"]) < PAGE:
            return
