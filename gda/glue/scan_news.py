"""How a scan tells Prefect what it did: a state for every run, and a table for one that did something."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOST_ROWS = 500


async def told(kind: str, found: "Sequence[DataclassInstance]", summary: str) -> State[None]:
    """Write a run's table artifact, named after the kind, and give its final state.

    Args:
        kind: the job type's name.
        found: what the run acted on, as values that hold ids and instants only; without any there is no table.
        summary: the state's message, in counts.
    """
    if found:
        rows = [{name: _plain(value) for name, value in asdict(one).items()} for one in found[:MOST_ROWS]]
        more = f" (the first {MOST_ROWS} of {len(found)})" if len(found) > MOST_ROWS else ""
        await acreate_table_artifact(key=kind, table=rows, description=f"{summary}{more}")
    return Completed(message=summary)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
