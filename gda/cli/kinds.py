"""Checks of words that a person types, with the nearest right one in the refusal."""

import difflib

from gda.errors import UnknownKind
from gda.jobs import kinds


def require_kind(kind: str) -> str:
    """Give back a kind that is registered. Raises UnknownKind."""
    if kind in kinds():
        return kind
    near = difflib.get_close_matches(kind.lower(), kinds(), n=1)
    advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(kinds())}"
    raise UnknownKind(f"kind {kind!r} is not registered: {advice}")
