"""A run that begins late does what the others of its deployment, which wait as late as it, were made for."""

import logging
from datetime import timedelta
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled

from gda.glue.closing import end_waiting_runs
from gda.glue.sweeping import SUPERSEDED, late, read_runs

log = logging.getLogger("gda.glue")

SHORTEST_STEP = timedelta(minutes=1)
"""What cron can say: behind a run that is less late than this none of its schedule can be late too."""


async def supersede_late_runs(flow: object, flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect's ``on_running`` hook of flows that do whatever is due: cancel those of the run's deployment that wait.

    After an outage the first run that begins leaves nothing for those behind it, and the sweep, which cancels them too,
    comes seconds later. A person's runs and shards stay.

    Args:
        flow: what runs; any may.
        flow_run: the one that begins; one that no schedule made, or that is in time, leaves the others alone.
        state: the state it entered, which tells since when it runs.
    """
    if not flow_run.auto_scheduled or flow_run.deployment_id is None or flow_run.expected_start_time is None:
        return
    began = state.timestamp
    if began - flow_run.expected_start_time < SHORTEST_STEP:
        return
    message = f"too late: its work is done by {flow_run.name}"
    superseded: State[None] = Cancelled(name=SUPERSEDED, message=message)
    wanted = {
        "deployment_id": {"any_": [flow_run.deployment_id]},
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": {"before_": began},
    }
    try:
        async with get_client() as client:
            waiting = await read_runs(client, wanted)
            needless = late(waiting, begun={str(flow_run.deployment_id): began}, grace=timedelta(), now=began)
            await end_waiting_runs(client, needless, superseded)
    except HTTPError as error:  # The sweep cancels them, some seconds later.
        log.warning("late runs beside this one could not be cancelled (%s)", type(error).__name__)
