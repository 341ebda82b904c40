"""Claims for many lanes: taken from the ledger in batches, only as fast as they are performed."""

import asyncio
from collections import deque

from gda.lifecycle import Claim
from gda.store import Ledger, Scope, Worker


class Feed:
    """Hands out claims of one scope until the ledger has none that is ready.

    Args:
        ledger: where claims come from.
        scope: which occurrences.
        worker: who claims.
        size: claims taken in one statement.
        impatient: take waiting ones too, because a person asked for them now.
    """

    def __init__(self, ledger: Ledger, scope: Scope, worker: Worker, size: int, *, impatient: bool) -> None:
        self._ledger = ledger
        self._scope = scope
        self._worker = worker
        self._size = size
        self._impatient = impatient
        self._taken: deque[Claim] = deque()
        self._seen: set[str] = set()
        self._exhausted = False
        self._claiming = asyncio.Lock()

    async def next(self) -> Claim | None:
        """The next claim, or None when nothing more is ready."""
        return next(iter(await self.take(1)), None)

    async def take(self, most: int) -> list[Claim]:
        """The next claims, at most ``most`` of them; none when nothing more is ready."""
        async with self._claiming:
            if not self._taken and not self._exhausted:
                await self._refill()
            return [self._taken.popleft() for _ in range(min(most, len(self._taken)))]

    async def _refill(self) -> None:
        claims = await self._ledger.claim(self._scope, self._worker, limit=self._size, impatient=self._impatient)
        # Within one feed nothing is tried twice: what comes back at once (a snooze, a short backoff) waits for a later
        # wake-up, so that a feed always ends.
        fresh = [claim for claim in claims if claim.occurrence.id not in self._seen]
        self._seen.update(claim.occurrence.id for claim in fresh)
        self._taken.extend(fresh)
        self._exhausted = not fresh
