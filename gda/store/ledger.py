"""The ledger: what is due, has it happened, who holds it. Each method is one transaction or a share in one."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import UnknownOccurrence
from gda.lifecycle import Claim, Occurrence, Settlement
from gda.settings import Settings
from gda.store import claims, holds, promises, settlements
from gda.store.backlog import backlog, next_ready
from gda.store.claims import OCCURRENCE_COLUMNS, occurrence_from
from gda.store.database import Database
from gda.store.group_commit import GroupCommit
from gda.store.hand import ByHand, Target, promise_by_hand
from gda.store.promises import Defaults, Promised, Waker
from gda.store.recovery import note_late, recover
from gda.store.scopes import Scope
from gda.store.settlements import Ending
from gda.store.tables import occurrences

PROMISE_CHUNK = 500
CLAIM_TRIES = 5
OPERATOR_EARLY = timedelta(seconds=15)
"""How early an operator's slot is promised at most: with one each 20 s, 90 s would make a wake-up wait for four."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Who claims: unique per process and flow run."""

    owner: str
    flow_run_id: str | None = None


class Ledger:
    """The occurrences of one database."""

    def __init__(self, database: Database, settings: Settings, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._database = database
        self._lease = settings.lease
        self._early = timedelta(seconds=settings.early_seconds)
        self._defaults = Defaults.of(settings)
        self._write = writes
        self._read = reads

    async def now(self) -> datetime:
        """The instant by the store's clock, aware UTC."""
        return await self._read(_the_time, None)

    async def promise(self, scope: Scope, waker: Waker, defaults: Defaults | None = None) -> Promised:
        """Insert the rows of all slots of ``scope`` that are due by now plus the early margin and have none.

        ``defaults`` are what the rows get where their schedule says nothing; the settings' when not given.
        """
        total = Promised()
        while True:
            async with self._database.write() as connection:
                now = await self._database.clock.now(connection)
                part = await promises.promise_due(
                    connection,
                    scope,
                    now=now,
                    early=self._early_for(scope),
                    waker=waker,
                    defaults=defaults or self._defaults,
                    limit=PROMISE_CHUNK,
                )
            total += part
            if not part.more:
                return total

    def _early_for(self, scope: Scope) -> timedelta:
        return min(self._early, OPERATOR_EARLY) if scope.operator else self._early

    async def promise_by_hand(
        self, scope: Scope, request: ByHand, waker: Waker, defaults: Defaults | None = None
    ) -> list[Target]:
        """Make sure that the occurrences a person asked for have rows. Raises UsageError, InvalidSchedule."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            given = defaults or self._defaults
            return await promise_by_hand(connection, scope, request, now=now, waker=waker, defaults=given)

    async def claim(
        self, scope: Scope, worker: Worker, *, limit: int, impatient: bool = False, suspects: bool = False
    ) -> list[Claim]:
        """Take up to ``limit`` occurrences of ``scope`` that are ready or abandoned, under new fences.

        ``suspects`` takes those under which a worker died, and no others; they are to be performed one by one, alone.
        """
        for _ in range(CLAIM_TRIES - 1):
            # Two workers met at two slots of one schedule: the other's claim is there now, and is left out.
            with suppress(IntegrityError):
                return await self._claim(scope, worker, limit, impatient, suspects)
        return await self._claim(scope, worker, limit, impatient, suspects)

    async def _claim(self, scope: Scope, worker: Worker, limit: int, impatient: bool, suspects: bool) -> list[Claim]:
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            await recover(connection, now)
            return await claims.claim(
                connection,
                scope,
                owner=worker.owner,
                flow_run_id=worker.flow_run_id,
                now=now,
                lease=self._lease,
                limit=limit,
                impatient=impatient,
                suspects=suspects,
            )

    async def recover(self) -> int:
        """Free what was abandoned; returns how many, at most 500 in one call."""
        async with self._database.write() as connection:
            return await recover(connection, await self._database.clock.now(connection))

    async def abandon(self, worker: Worker) -> int:
        """Let the leases of a worker that is about to end itself expire now; returns how many."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            return await claims.renew(connection, worker.owner, now=now, lease=timedelta(0))

    async def backlog(self, scope: Scope) -> int:
        """How many occurrences of ``scope`` are to be performed now, promised or not yet."""
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            return await backlog(connection, scope, now=now, early=self._early_for(scope))

    async def next_ready(self, scope: Scope) -> datetime | None:
        """When the earliest promised occurrence of ``scope`` becomes ready, None when none waits."""
        async with self._database.read() as connection:
            return await next_ready(connection, scope)

    async def start(self, claim: Claim) -> int:
        """Write the attempt row; returns its number. Raises ClaimLost."""
        return await self._write(claims.start, claim)

    async def settle(self, claim: Claim, number: int, settlement: Settlement) -> None:
        """Write how attempt ``number`` ended. Raises ClaimLost, and writes nothing, when it is held no more."""
        await self._write(settlements.settle, Ending(claim, number, settlement))

    async def start_all(self, several: Sequence[Claim]) -> list[int | Exception]:
        """As ``start`` for each, in one transaction; where one is held no more, ClaimLost stands in its place."""
        async with self._database.write() as connection:
            return await claims.start(connection, several, await self._database.clock.now(connection))

    async def settle_all(self, endings: Sequence[Ending]) -> list[Exception | None]:
        """As ``settle`` for each, in one transaction; where one is held no more, ClaimLost stands in its place."""
        async with self._database.write() as connection:
            return await settlements.settle(connection, endings, await self._database.clock.now(connection))

    async def check(self, claim: Claim) -> None:
        """Make sure that the lease still stands, right before something irreversible. Raises ClaimLost."""
        await self._read(claims.still_mine, claim)

    async def note_late(self, claim: Claim) -> None:
        """Record that a worker came back to what another had taken over, and was refused."""
        await self._write(note_late, claim)

    async def renew(self, worker: Worker) -> int:
        """Prolong every lease of ``worker``; returns how many it holds."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            return await claims.renew(connection, worker.owner, now=now, lease=self._lease)

    async def abandoned_runs(self) -> list[str]:
        """Prefect flow runs that hold occurrences under an expired lease, by id."""
        async with self._database.read() as connection:
            now = await self._database.clock.now(connection)
            return await claims.abandoned_runs(connection, now)

    async def hand_back(self, worker: Worker) -> int:
        """Return everything that ``worker`` still holds, unburnt; returns how many."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            return await claims.hand_back(connection, worker.owner, now=now)

    async def hold(self, cause: str, *, user_id: str, kinds: Collection[str] | None = None) -> list[str]:
        """Hold what waits for a user until ``cause`` clears; returns the ids."""
        async with self._database.write() as connection:
            return await holds.hold(connection, cause, user_id=user_id, kinds=kinds)

    async def release(self, cause: str, *, user_id: str | None = None) -> tuple[list[str], list[str]]:
        """Let go what is held for ``cause``; returns ids that are ready, and of those skipped as no longer worth it."""
        async with self._database.write() as connection:
            return await holds.release(connection, cause, await self._database.clock.now(connection), user_id=user_id)

    async def expire_held(self) -> list[str]:
        """Skip what has been held for longer than it is worth; returns the ids."""
        async with self._database.write() as connection:
            return await holds.expire_held(connection, await self._database.clock.now(connection))

    async def cancel(self, ids: Sequence[str], reason: str) -> list[str]:
        """Cancel what waits or is held; returns the ids that were, for what runs or has ended stays as it is."""
        async with self._database.write() as connection:
            return await holds.cancel(connection, ids, reason, await self._database.clock.now(connection))

    async def get(self, occurrence_id: str) -> Occurrence:
        """Read one occurrence. Raises UnknownOccurrence."""
        async with self._database.read() as connection:
            query = select(*OCCURRENCE_COLUMNS).where(occurrences.c.id == occurrence_id)
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise UnknownOccurrence(
                f"occurrence {occurrence_id!r} does not exist; `gda occurrences list` shows those that do"
            )
        return occurrence_from(row)


async def _the_time(_: AsyncConnection, askers: Sequence[None], now: datetime) -> list[datetime | Exception]:
    return [now for _ in askers]
