"""Telling hooks of deaths that nobody could tell of when they happened: poison, found when a lease had expired.

Who recovers may be of another kind, or a machine without the kind's package. So the news waits in the ledger, and each
wake-up takes that of its own kind; the sweep takes that of every kind it knows, so that none waits for long.
"""

from collections.abc import Callable

from gda.errors import UnknownKind
from gda.job import JobType
from gda.store import Store


async def tell_of_deaths(store: Store, job_type: JobType) -> int:
    """Tell ``on_dead`` of the kind's deaths that it was not told of; at most once each, whatever becomes of the hook.

    Returns:
        How many.
    """
    count = 0
    # Mostly there is none, and a look must not cost a writing transaction.
    for name in {job_type.kind, *job_type.aliases}.intersection(await store.untold.kinds()):
        while news := await store.untold.take(name):
            for claim, settlement in news:
                await job_type.hooks.settled(claim, settlement)
            count += len(news)
    return count


async def tell_of_all_deaths(store: Store, find: Callable[[str], JobType]) -> int:
    """As :func:`tell_of_deaths`, for every kind of which there is news.

    Args:
        store: where the news waits.
        find: gives the job type of a kind, ``Registry.get``; where it raises UnknownKind the news goes on waiting.

    Returns:
        How many.
    """
    count = 0
    for kind in await store.untold.kinds():
        try:
            job_type = find(kind)
        except UnknownKind:
            continue
        count += await tell_of_deaths(store, job_type)
    return count
