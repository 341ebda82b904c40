"""Asking Prefect for a drain run after work was written down."""

from gda.cli.run import say
from gda.errors import Unavailable


async def ask_for_drain(kind: str, queue: str = "default") -> None:
    """Ask for a run that performs what waits of ``kind``.

    The rows are safe by now, so that no Prefect, or none that answers, is no failure: a later wake-up performs them.
    """
    from gda.glue.api import reachable

    try:
        await reachable()
    except Unavailable as error:
        say(f"no drain run was asked for, the next one performs it: {error}")
        return
    from gda.glue.drains import ensure_drain

    if not await ensure_drain(kind, queue):
        say("no drain is deployed, so nothing performs it yet: run `gda apply --system`")
