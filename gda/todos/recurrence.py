"""What follows a completed to-do that repeats."""

from dataclasses import dataclass
from datetime import datetime

from gda.todos.due import Due, due_on
from gda.todos.repeat import Repeat, nominal, slots


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
    for moment in slots(repeat, after=slot):
        name = nominal(moment, repeat.start)
        due = due_on(name, timezone)
        if due.at > due_at and (repeat.missed == "every" or due.at > now):
            return Successor(name, due)
    return None
