"""What a job's body receives, and what a job type is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

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
    payload: Any = None
    """The occurrence's payload as the job type's model; None where the job type has no model."""

    @property
    def occurrence(self) -> Occurrence:
        """What is due."""
        return self.claim.occurrence


Perform = Callable[[Job], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class JobType:
    """A kind of work: its stable name, its body (tools already bound), and how it is tried and queued."""

    kind: str
    perform: Perform
    retry: RetryPolicy
    payload: type[BaseModel] | None = None
    """What an enqueued occurrence carries; Prefect's UI makes a form of it."""
    timeout: timedelta = timedelta(minutes=5)
    queue: str = "default"
    once_per: str = "slot"
    """For people: what makes two occurrences the same."""
    aliases: tuple[str, ...] = ()
    """Earlier names of the kind, under which rows may still lie."""
