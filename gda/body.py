"""What a job's body receives: one attempt at one occurrence."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gda.lifecycle import Claim, Occurrence
from gda.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: the claim it runs under, its number, and the check to make before anything irreversible."""

    claim: Claim
    number: int
    still_mine: Callable[[], Awaitable[None]]
    """Raises ClaimLost when another worker has taken the occurrence over."""
    payload: Any = None
    """The occurrence's payload as the job type's model; None where the job type has no model."""

    @property
    def occurrence(self) -> Occurrence:
        """What is due."""
        return self.claim.occurrence


Perform = Callable[[Job], Awaitable[Outcome]]
Middleware = Callable[[Job, Perform], Awaitable[Outcome]]
"""Stands around a body: calls the second argument with the job, or does not, and gives back an outcome or raises."""
