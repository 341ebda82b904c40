"""Telling people of dead letters through Prefect: an event for each, and one table per run that found some."""

from collections.abc import Sequence

from prefect.artifacts import acreate_table_artifact
from prefect.events import emit_event
from prefect.logging import get_logger

from gda.store import Letter, Store

EVENT = "gda.dead-letter"
"""What automations listen for; ``deployments/automations.py`` makes one that does."""
TABLE = "gda-dead-letters"
MOST_ROWS = 200

log = get_logger("gda.dead_letters")


async def announce_deaths(store: Store) -> int:
    """Tell of every dead letter that nobody was told of yet; returns how many.

    Each is told of once at most: they are marked first, so a process that dies here leaves them in the inbox, untold.
    Ids, kind, reason and cause are told, never content. A Prefect that does not listen is logged and stops nobody: the
    letter lies in the ledger, and `gda dead-letters list` shows it.
    """
    count = 0
    while letters := await store.dead_letters.unannounced():
        await tell(letters)
        count += len(letters)
    return count


async def tell(letters: Sequence[Letter]) -> None:
    """Send the events and write the table; what goes wrong is logged."""
    try:
        for letter in letters:
            emit(letter)
        await acreate_table_artifact([row(letter) for letter in letters[:MOST_ROWS]], TABLE, headline(letters))
    except Exception as error:  # Prefect's client raises many kinds; the news is lost, the letters are not.
        log.warning("nobody could be told of %d dead letters: %s", len(letters), type(error).__name__)


def emit(letter: Letter) -> None:
    """Send the event of one letter."""
    run = letter.flow_run_id
    emit_event(
        EVENT,
        resource={
            "prefect.resource.id": f"gda.occurrence.{letter.occurrence_id}",
            "prefect.resource.name": f"{letter.kind} of {letter.user_id or 'operator'}",
        },
        related=[{"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "flow-run"}]
        if run
        else [],
        payload=row(letter),
    )


def row(letter: Letter) -> dict[str, str]:
    """A letter as a line of the table, without content."""
    return {
        "occurrence": letter.occurrence_id,
        "kind": letter.kind,
        "user": letter.user_id or "operator",
        "slot": letter.slot or "extra",
        "reason": letter.reason,
        "cause": letter.fingerprint,
        "error": letter.error_class,
        "flow run": letter.flow_run_id or "",
    }


def headline(letters: Sequence[Letter]) -> str:
    """What stands above the table."""
    shown = f", the first {MOST_ROWS} here" if len(letters) > MOST_ROWS else ""
    return f"{len(letters)} occurrences gave up{shown}. `gda dead-letters show ID` tells all; the flow \
`replay-dead-letters` tries them again."
