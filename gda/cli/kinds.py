"""Checks of words that a person types, with the nearest right one in the refusal."""

from gda.registry import load_registry


def require_kind(kind: str) -> str:
    """Give back the present name of a kind that is registered. Raises UnknownKind."""
    return load_registry().require(kind)
