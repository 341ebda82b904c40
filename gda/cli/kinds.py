"""Checks of words that a person types, with the nearest right one in the refusal."""

from typing import TYPE_CHECKING

from gda.cli.run import say
from gda.registry import load_registry

if TYPE_CHECKING:
    from gda.store import Store


def require_kind(kind: str) -> str:
    """Give back the present name of a kind that is registered. Raises UnknownKind."""
    return load_registry().require(kind)


async def adopt_earlier_names(opened: "Store") -> None:
    """Write over what is stored under earlier names of kinds that were renamed, and say so."""
    from gda.renaming import adopt_renamed

    for earlier, present in await adopt_renamed(opened, load_registry()):
        say(f"kind {earlier} is called {present} now: what was stored under its earlier name goes on under this one")
