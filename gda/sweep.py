"""The sweep: each minute, one at a time, it repairs what wake-ups missed and workers left (DESIGN 6).

A step that fails is logged and counted; the others run all the same.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from gda.errors import NotLeader
from gda.jobs import NOTICE, REMINDER
from gda.settings import Settings
from gda.store import Defaults, Promised, ReleaseRules, Store, Waker

log = logging.getLogger("gda.sweep")

LEASE = "sweep"
LEASE_TTL = timedelta(seconds=60)
RECOVERED_AT_ONCE = 500

EnsureDrain = Callable[[str, str], Awaitable[bool]]
"""Makes sure that a run will perform what waits of (kind, queue); whether it had to ask for one."""
StandIn = Callable[[str], Awaitable[bool]]
"""Makes sure that a run does what the schedule of this kind's own drain should have done; whether there is one."""
CloseRuns = Callable[[Store], Awaitable[int]]
"""Closes Prefect runs whose worker went away, and cancels late ones; returns how many."""
Heed = Callable[[Store], Awaitable[int]]
"""Skips what people paused or cancelled in Prefect; returns how many slots."""


async def nobody_stands_in(_kind: str) -> bool:
    """Ask for nothing, where schedules cannot stop."""
    return False


async def nobody_said_anything(_: Store) -> int:
    """Heed nothing, where there is no Prefect."""
    return 0


@dataclass(slots=True)
class Swept:
    """What one sweep did, as counts; ``failures`` names steps by their error's class."""

    evaluated: int = 0
    promised: int = 0
    skipped: int = 0
    recovered: int = 0
    drains: int = 0
    closed: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"evaluated {self.evaluated}, promised {self.promised}, skipped {self.skipped}, "
            f"failed {len(self.failures)}; recovered {self.recovered}, drains asked for {self.drains}, "
            f"runs closed {self.closed}"
        )


async def sweep(
    store: Store,
    settings: Settings,
    waker: Waker,
    *,
    ensure_drain: EnsureDrain,
    close_runs: CloseRuns,
    stand_in: StandIn = nobody_stands_in,
    heed: Heed = nobody_said_anything,
    leading: Callable[[], bool] = lambda: True,
) -> Swept:
    """Sweep once; the caller holds the lease ``sweep``.

    Args:
        store: the ledger.
        settings: ``sweep_grace_seconds``.
        waker: which run sweeps, for the record.
        ensure_drain: called for each kind and queue in which something waits.
        stand_in: called for reminders where some are due, in case their drain still has others in hand, or was lost.
        close_runs: called before leases are recovered, while the ledger still knows whose they were.
        heed: called before anything is promised; where it fails nothing is, for a person may have forbidden it.
        leading: whether the lease is still held; asked before each step.

    Returns:
        The counts.

    Raises:
        NotLeader: the lease was lost meanwhile; what was done until then stands, the other instance does the rest.
    """
    round_ = _Round(store, timedelta(seconds=settings.sweep_grace_seconds), waker, leading)
    defaults = Defaults.of(settings)
    swept = round_.swept

    async def close() -> None:
        swept.closed += await close_runs(store)

    async def listen() -> None:
        swept.skipped += await heed(store)

    await round_.guarded("close runs", close)
    await round_.guarded("recover", round_.recover)
    heard = await round_.guarded("heed", listen)
    await round_.guarded("expire held", round_.expire)
    if heard:
        await round_.guarded("find missed", round_.promise)
    await round_.guarded("release held notices", lambda: round_.release(ReleaseRules(NOTICE, "default", defaults)))
    await round_.guarded("drains", lambda: round_.drain(ensure_drain))
    await round_.guarded("reminders", lambda: round_.remind(stand_in))
    return swept


@dataclass(slots=True)
class _Round:
    store: Store
    grace: timedelta
    waker: Waker
    leading: Callable[[], bool]
    swept: Swept = field(default_factory=Swept)

    async def guarded(self, name: str, step: Callable[[], Awaitable[None]]) -> bool:
        if not self.leading():
            raise NotLeader(f"another instance sweeps now; this one stopped before {name!r}: {self.swept}")
        try:
            await step()
        except NotLeader:
            raise
        except Exception as error:
            log.warning("sweep: %s failed (%s); the next sweep tries again", name, type(error).__name__)
            self.swept.failures.append(f"{name}: {type(error).__name__}")
            return False
        return True

    async def recover(self) -> None:
        freed = RECOVERED_AT_ONCE
        while freed >= RECOVERED_AT_ONCE and self.leading():
            freed = await self.store.ledger.recover()
            self.swept.recovered += freed

    async def expire(self) -> None:
        self.swept.skipped += len(await self.store.ledger.expire_held())

    async def release(self, rules: ReleaseRules) -> None:
        while self.leading() and (new := await self.store.held_notices.release(rules, self.waker)):
            self.swept.promised += len(new)

    async def promise(self) -> None:
        for kind, spreads in (await self.store.sweeping.missed(self.grace)).items():
            for spread in spreads:
                await self.guarded(f"promise {kind}", partial(self._promise_one, kind, spread))

    async def _promise_one(self, kind: str, spread: int) -> None:
        made: Promised = await self.store.sweeping.promise(kind, spread, self.grace, self.waker)
        self.swept.evaluated += made.evaluated
        self.swept.promised += len(made.scheduled)
        self.swept.skipped += made.skipped
        self.swept.failures += [f"schedule {identity}: no longer parses" for identity in made.problems]

    async def drain(self, ensure_drain: EnsureDrain) -> None:
        for waiting in await self.store.sweeping.waiting(self.grace):

            async def ask(kind: str = waiting.kind, queue: str = waiting.queue) -> None:
                self.swept.drains += await ensure_drain(kind, queue)

            await self.guarded(f"drain {waiting.kind}", ask)

    async def remind(self, stand_in: StandIn) -> None:
        if await self.store.reminder_dispatch.any_due():
            self.swept.drains += await stand_in(REMINDER)
