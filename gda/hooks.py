"""What happens beside jobs: functions that are told of a job's way, and can neither change nor stop it.

A hook that raises, or takes too long, is logged by the class of its error and forgotten; to change what a job does,
write middleware.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from gda.body import Job
from gda.lifecycle import Claim, Settlement, Status
from gda.outcome import Outcome

log = logging.getLogger("gda.hooks")

LONGEST_SECONDS = 30
"""A hook that takes longer is left: it must not hold up the jobs it is told of."""

BeforeJob = Callable[[Job], Awaitable[None]]
AfterJob = Callable[[Job, Outcome | BaseException], Awaitable[None]]
OnEnqueue = Callable[[str, Sequence[str]], Awaitable[None]]
OnSettled = Callable[[Claim, Settlement], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions to tell, in this order.

    Each is told at most once of the same thing: a process that ends before it tells leaves it untold.

    Args:
        before_job: told an attempt that is about to start.
        after_job: told the attempt and its outcome, or the error that it raised; nothing is settled yet.
        on_enqueue: told a kind and the ids of occurrences that were enqueued and are committed.
        on_retry: told a claim and what was settled, when an occurrence is to be tried again after a failure.
        on_dead: told a claim and what was settled, when an occurrence gave up and its dead letter is written. Where a
            worker died over it (``poison``) the kind's next wake-up or the sweep tells, and the claim has no owner.
    """

    before_job: tuple[BeforeJob, ...] = ()
    after_job: tuple[AfterJob, ...] = ()
    on_enqueue: tuple[OnEnqueue, ...] = ()
    on_retry: tuple[OnSettled, ...] = ()
    on_dead: tuple[OnSettled, ...] = ()

    def __add__(self, other: "Hooks") -> "Hooks":
        """These hooks, then the others."""
        return Hooks(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})

    async def observe(self, job: Job, call_next: Callable[[Job], Awaitable[Outcome]]) -> Outcome:
        """Perform one attempt and tell ``before_job`` and ``after_job``; the middleware that hooks are."""
        await tell(self.before_job, job)
        try:
            outcome = await call_next(job)
        except BaseException as error:
            await tell(self.after_job, job, error)
            raise
        await tell(self.after_job, job, outcome)
        return outcome

    async def enqueued(self, kind: str, ids: Sequence[str]) -> None:
        """Tell ``on_enqueue``; to be called once the rows are committed."""
        if ids:
            await tell(self.on_enqueue, kind, ids)

    async def settled(self, claim: Claim, settlement: Settlement | None) -> None:
        """Tell ``on_retry`` or ``on_dead`` what an attempt was settled as (None: by another worker)."""
        if settlement is None:
            return
        if settlement.status is Status.DEAD:
            await tell(self.on_dead, claim, settlement)
        elif settlement.burns and settlement.status in (Status.RETRYING, Status.RUNNING):
            await tell(self.on_retry, claim, settlement)


NO_HOOKS = Hooks()


async def tell(hooks: Sequence[Callable[..., Awaitable[None]]], *what: Any) -> None:
    """Call hooks one after another; what one raises stops neither the next nor the job."""
    for hook in hooks:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await hook(*what)
        except Exception as error:  # Somebody else's code, told of a job that is not its own.
            log.warning("hook %s failed: %s", getattr(hook, "__qualname__", "?"), type(error).__name__)
