"""What a job type is; ``gda.declare`` makes one of a function, ``gda.binding`` makes it ready to run."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from gda.body import Job, Middleware, Perform
from gda.hooks import NO_HOOKS, Hooks
from gda.retry import RetryPolicy
from gda.settings import Settings

__all__ = ["Job", "JobType", "Middleware", "Perform"]


@dataclass(frozen=True, slots=True)
class JobType:
    """A kind of work: its stable name, its body, and how it is tried and queued."""

    kind: str
    perform: Perform
    """Performs one attempt; where the kind has tools, only once they are bound."""
    retry: RetryPolicy
    payload: type[BaseModel] | None = None
    """What an enqueued occurrence carries; Prefect's UI makes a form of it."""
    timeout: timedelta = timedelta(minutes=5)
    queue: str = "default"
    chunk: int = 1
    """Up to so many occurrences share one Prefect task run; each keeps its own attempts, lease and ending."""
    crowd_chunk: int = 1
    """How many share one where a flow run finds a crowd, more than ``GDA_CROWD``."""
    once_per: str = "slot"
    """For people: what makes two occurrences the same."""
    aliases: tuple[str, ...] = ()
    """Earlier names of the kind, under which rows may still lie."""
    hooks: Hooks = NO_HOOKS
    middleware: tuple[Middleware, ...] = ()
    """The kind's own, outermost first; they stand inside those that every kind has."""
    body: Callable[..., Any] | None = None
    """The function as it was declared."""
    tools: Callable[..., AbstractAsyncContextManager[Any]] | None = None
    """Opens what the body works with, from settings and store; the body then takes them before the job."""
    flow: str | None = None
    """Module entry point of the kind's own Prefect flow, for users' deployments; None for the generic ``run-job``."""
    inherits: frozenset[str] = frozenset()
    """Which of ``retry`` and ``timeout`` were not declared, and so are the installation's."""

    def in_crowd(self) -> "JobType":
        """The kind as it is performed where a flow run finds a crowd."""
        return replace(self, chunk=max(self.chunk, self.crowd_chunk))

    def retry_under(self, settings: Settings) -> RetryPolicy:
        """The kind's own retry policy, or what ``GDA_RETRY_*`` say where it declares none."""
        return RetryPolicy.from_settings(settings) if "retry" in self.inherits else self.retry

    def timeout_under(self, settings: Settings) -> timedelta:
        """The kind's own timeout of one attempt, or the installation's where it declares none."""
        return timedelta(seconds=settings.timeout_seconds) if "timeout" in self.inherits else self.timeout
