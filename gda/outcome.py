"""What a job says when it ends; the ledger decides what follows."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Done:
    """The promise was kept; ``summary`` holds counts and ids only, never content."""

    summary: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """There was nothing to do, for a reason a user would accept (``no new mail``)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, not before ``after`` where given; burns an attempt."""

    reason: str
    after: timedelta | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Snooze:
    """Look again at ``until`` (aware); burns no attempt."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until ``cause`` clears (``consent:google``); burns no attempt."""

    cause: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Give up now; trying again cannot help.

    ``poison``: it would harm the work beside it as well. ``in_doubt``: what it did may have happened, and nobody can be
    asked.
    """

    reason: str
    poison: bool = False
    in_doubt: bool = False


Outcome = Done | Skip | Retry | Snooze | Hold | Fail
