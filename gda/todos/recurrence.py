"""What follows a completed to-do that repeats."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gda.schedule import zone
from gda.todos.due import Due, due_on
from gda.todos.repeat import Repeat, nominal, slots

_MARGIN = timedelta(days=2)
"""A date may be due so much later than its own time says: its day's end, behind a day that a zone left out."""


@dataclass(frozen=True, slots=True)
class Successor:
    """The next one of a series: its nominal slot, which names it within the series, and when it is due."""

    slot: str
    due: Due


def successor(repeat: Repeat, *, slot: str, due_at: datetime, timezone: str, now: datetime) -> Successor | None:
    """The to-do that follows a completed one; None where the series has ended.

    Args:
        repeat: the series.
        slot: the completed one's nominal slot.
        due_at: when the completed one was due (aware); later than its slot says where a person moved it.
        timezone: the user's IANA name; the time on the wall is kept, whatever its clocks do.
        now: the store's instant (aware); under ``next`` whatever is due by then is passed over.
    """
    passed = due_at if repeat.missed == "every" else max(due_at, now)
    near = nominal(passed.astimezone(zone(timezone)).replace(tzinfo=None) - _MARGIN, slot)
    for moment in slots(repeat, after=max(slot, near)):
        name = nominal(moment, repeat.start)
        due = due_on(name, timezone)
        if due.at > passed:
            return Successor(name, due)
    return None
