"""What a job's body receives, and what a job type is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gda.lifecycle import Claim, Occurrence
from gda.outcome import Outcome
from gda.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: the claim it runs under, its number, and the check to make before anything irreversible."""

    claim: Claim
    number: int
    still_mine: Callable[[], Awaitable[None]]
    """Raises ClaimLost when another worker has taken the occurrence over."""

    @property
    def occurrence(self) -> Occurrence:
        """What is due."""
        return self.claim.occurrence


Perform = Callable[[Job], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class JobType:
    """A kind of work: its stable name, its body (tools already bound), and its retry policy."""

    kind: str
    perform: Perform
    retry: RetryPolicy
