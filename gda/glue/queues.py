"""Lines: queues of Prefect's pool that begin one run at a time, each for the schedule of one drain.

A schedule that runs each minute leaves an hour of runs behind after an hour's absence; out of a line only the first of
them begins. What must not wait there, shards and drains that were asked for, goes beside it.
"""

from collections.abc import Mapping

LINES: Mapping[str, str] = {"reminder-drain": "critical", "token-refresh-drain": "default", "digest-drain": "default"}
"""By line, the queue beside it, which takes as many runs as there are places."""


def beside(queue: str | None) -> str | None:
    """The queue for a run that must not wait in line, of a deployment whose own queue is ``queue``."""
    return LINES.get(queue, queue) if queue else None
