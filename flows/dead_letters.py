"""Replaying dead letters from the Prefect UI: the quick-run form says which, and first only shows them."""

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.services import open_services
from gda.errors import UsageError
from gda.glue.alive import known_alive
from gda.glue.dead_letter_news import TABLE, row
from gda.glue.drains import ensure_drain
from gda.store import Letter, Which


@flow(name="replay-dead-letters", version="1", persist_result=False)
async def replay_dead_letters(
    occurrences: list[str] | None = None,
    kind: str | None = None,
    user: str | None = None,
    reason: str | None = None,
    fingerprint: str | None = None,
    everything: bool = False,
    limit: int = 100,
    per_minute: int | None = None,
    dry_run: bool = True,
) -> State[None]:
    """Give dead letters' occurrences a new life.

    Args:
        occurrences: ids of occurrences.
        kind: only of this kind.
        user: only of this user, by id.
        reason: only those that died for this reason (attempts, age, permanent, timeout, poison, in-doubt).
        fingerprint: only those of this cause.
        everything: all that is open.
        limit: at most so many, the oldest first.
        per_minute: at most so many become ready in a minute.
        dry_run: only show which are meant; untick to replay them.
    """
    if not (occurrences or kind or user or reason or fingerprint or everything):
        return Failed(name="Refused", message="say which: occurrences, a filter, or everything")
    if limit < 1 or (per_minute is not None and per_minute < 1):
        return Failed(name="Refused", message="limit and per_minute: give 1 or more")
    which = Which(tuple(occurrences or ()), kind, user, reason, fingerprint)
    async with open_services() as services, known_alive(services.store):
        letters = services.store.dead_letters
        try:
            if dry_run:
                return await shown(await letters.find(which, limit=limit, oldest_first=True), "would be replayed")
            found = await letters.replay(which, by="the Prefect UI", limit=limit, per_minute=per_minute)
        except UsageError as error:
            return Failed(name="Refused", message=str(error))
    for wanted in sorted({(letter.kind, letter.queue) for letter in found}):
        await ensure_drain(*wanted)
    return await shown(found, "replayed")


async def shown(found: list[Letter], what: str) -> State[None]:
    """Say how many, and list them in a table."""
    if found:
        await acreate_table_artifact([row(letter) for letter in found], TABLE, f"{len(found)} {what}")
    return Completed(message=f"{len(found)} {what}")
