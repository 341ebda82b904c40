"""``python -m bench.plan_alone``: one plan in layout ``cohort`` and its capacity, with nothing else in the process.

Prints JSON: seconds of the imports, of the plan and of the busiest minutes, and the most memory held.
"""

import asyncio
import json
import sys
import time
from typing import Any

BEGUN = time.perf_counter()


async def main() -> dict[str, Any]:
    """Plan as ``gda plan`` does."""
    import os

    from prefect.client.orchestration import get_client

    from bench.processes import peak_mebibytes
    from deployments.capacity import busiest
    from deployments.kinds import load_kinds
    from deployments.planning import make_plan
    from gda.settings import load_settings
    from gda.store import open_store

    load_kinds()
    settings = load_settings()
    async with open_store(settings) as store, get_client() as client:
        ready = time.perf_counter()
        cohorts = await store.cohorts.all()
        found = await make_plan(store, client, settings, cohorts=cohorts)
        planned = time.perf_counter()
        busy = busiest(cohorts, settings, await store.ledger.now())
        ended = time.perf_counter()
    return {
        "import_seconds": ready - BEGUN,
        "plan_seconds": planned - ready,
        "capacity_seconds": ended - planned,
        "peak_mebibytes": peak_mebibytes(os.getpid()),
        "cohorts": len(cohorts),
        "changes": found.changes,
        "busiest": busy[0].line(settings.prefect_pool_limit),
    }


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
