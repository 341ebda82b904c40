"""What is new in a user's calendars: pure decisions over what was seen before and what a calendar says now."""

from .conflicts import HORIZON, agenda_span, with_conflicts
from .decide import Listing, decide
from .judge import Verdict
from .model import Change, ChangeKind, Event, Moment, Seen, instant_of, moment_from, moment_text

__all__ = [
    "HORIZON",
    "Change",
    "ChangeKind",
    "Event",
    "Listing",
    "Moment",
    "Seen",
    "Verdict",
    "agenda_span",
    "decide",
    "instant_of",
    "moment_from",
    "moment_text",
    "with_conflicts",
]
