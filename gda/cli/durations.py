"""Durations as people type them: a number and its unit."""

import re
from datetime import timedelta

from gda.errors import UsageError

_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """Read such as ``30s``, ``10m``, ``2h`` or ``1d``. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(f"duration {text!r} is not understood: write a number and s, m, h or d, such as 10m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
