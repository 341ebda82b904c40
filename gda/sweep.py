"""The sweep: each minute, one at a time, it repairs what wake-ups missed and workers left (DESIGN 6).

A step that fails is logged and counted; the others run all the same.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from gda.settings import Settings
from gda.store import Promised, Store, Waker

log = logging.getLogger("gda.sweep")

LEASE = "sweep"
LEASE_TTL = timedelta(seconds=60)
RECOVERED_AT_ONCE = 500

EnsureDrain = Callable[[str, str], Awaitable[bool]]
"""Makes sure that a run will perform what waits of (kind, queue); whether it had to ask for one."""
CloseRuns = Callable[[Store], Awaitable[int]]
"""Closes Prefect runs whose worker went away, and cancels late ones; returns how many."""


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
    store: Store, settings: Settings, waker: Waker, *, ensure_drain: EnsureDrain, close_runs: CloseRuns
) -> Swept:
    """Sweep once; the caller holds the lease ``sweep``.

    Args:
        store: the ledger.
        settings: ``sweep_grace_seconds``.
        waker: which run sweeps, for the record.
        ensure_drain: called for each kind and queue in which something waits.
        close_runs: called before leases are recovered, while the ledger still knows whose they were.

    Returns:
        The counts.
    """
    grace = timedelta(seconds=settings.sweep_grace_seconds)
    swept = Swept()

    async def close() -> None:
        swept.closed += await close_runs(store)

    async def expire() -> None:
        swept.skipped += len(await store.ledger.expire_held())

    steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("close runs", close),
        ("recover", lambda: _recover(store, swept)),
        ("expire held", expire),
        ("find missed", lambda: _promise(store, grace, waker, swept)),
        ("drains", lambda: _drain(store, grace, ensure_drain, swept)),
    ]
    for name, step in steps:
        await _guarded(swept, name, step)
    return swept


async def _guarded(swept: Swept, name: str, step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()
    except Exception as error:
        log.warning("sweep: %s failed (%s); the next sweep tries again", name, type(error).__name__)
        swept.failures.append(f"{name}: {type(error).__name__}")


async def _recover(store: Store, swept: Swept) -> None:
    while freed := await store.ledger.recover():
        swept.recovered += freed
        if freed < RECOVERED_AT_ONCE:
            return


async def _promise(store: Store, grace: timedelta, waker: Waker, swept: Swept) -> None:
    for kind, spreads in (await store.sweeping.missed(grace)).items():
        for spread in spreads:
            step = partial(_promise_one, store, kind, spread, grace, waker, swept)
            await _guarded(swept, f"promise {kind}", step)


async def _promise_one(store: Store, kind: str, spread: int, grace: timedelta, waker: Waker, swept: Swept) -> None:
    made: Promised = await store.sweeping.promise(kind, spread, grace, waker)
    swept.evaluated += made.evaluated
    swept.promised += len(made.scheduled)
    swept.skipped += made.skipped
    swept.failures += [f"schedule {identity}: no longer parses" for identity in made.problems]


async def _drain(store: Store, grace: timedelta, ensure_drain: EnsureDrain, swept: Swept) -> None:
    for waiting in await store.sweeping.waiting(grace):

        async def ask(kind: str = waiting.kind, queue: str = waiting.queue) -> None:
            swept.drains += await ensure_drain(kind, queue)

        await _guarded(swept, f"drain {waiting.kind}", ask)
