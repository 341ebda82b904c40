"""The year itself: one virtual clock, one heap of events, the real store and sweep; each event is a line of the log."""

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from gda.lifecycle import Claim, Settlement, Status
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Wish, Worker, make_store
from gda.store.settlements import Ending
from gda.store.tables import occurrences
from gda.sweep import sweep
from tests.builders import VirtualClock, a_database
from tests.year.oracle import Row, Span
from tests.year.people import Deed
from tests.year.prefect import KIND, Deployments, Planned, deliveries

QUARTER = timedelta(minutes=15)
DONE = Settlement(Status.DONE, "done")
CRASHES = 0.004
"""How many runs die between claim and settlement."""
AT_ONCE = 500

Action = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class World:
    """Everything that happens, in order; ``figures`` counts it."""

    store: Store
    clock: VirtualClock
    settings: Settings
    rng: random.Random
    until: datetime
    outage: Span
    deployments: Deployments
    figures: Counter[str] = field(default_factory=Counter)
    performed: Counter[str] = field(default_factory=Counter)
    crashes: float = CRASHES
    _heap: list[tuple[datetime, int, str, Action]] = field(default_factory=list)
    _numbers: int = 0
    _asked: set[tuple[str, datetime]] = field(default_factory=set)
    _digest: Any = field(default_factory=hashlib.sha256)

    def at(self, instant: datetime, name: str, action: Action) -> None:
        """Let something happen at an instant, or as soon as possible."""
        self._numbers += 1
        heapq.heappush(self._heap, (max(instant, self.clock.instant), self._numbers, name, action))

    async def run(self) -> str:
        """Let everything happen; returns the hash of the log."""
        while self._heap:
            instant, _, name, action = heapq.heappop(self._heap)
            if instant > self.until:
                break
            self.clock.instant = instant
            if self.outage.holds(instant) and name in ("wake", "sweep", "drain", "apply"):
                self._put_off(name, action)
                continue
            await action()
        self.clock.instant = self.until
        await self._end()
        return str(self._digest.hexdigest())

    def say(self, text: str) -> None:
        """A line of the log."""
        self._digest.update(f"{self.clock.instant:%Y-%m-%dT%H:%M:%S} {text}\n".encode())

    def deed(self, deed: Deed) -> None:
        """Let a user do something."""

        async def act() -> None:
            await self._do(deed)
            self.figures[f"deed: {deed.verb}"] += 1
            self.say(f"{deed.user} {deed.verb} {deed.zone} {deed.spelling}")

        self.at(deed.at, "deed", act)

    def sweep_after(self, instant: datetime, span: timedelta = timedelta(0)) -> None:
        """Sweep each quarter of an hour from then on until what is due by the end of ``span`` has been missed."""
        start = instant + timedelta(seconds=150)
        start += -(start - datetime(2000, 1, 1, tzinfo=start.tzinfo)) % QUARTER
        while start <= instant + span + QUARTER + timedelta(seconds=150):
            if ("sweep", start) not in self._asked:
                self._asked.add(("sweep", start))
                self.at(start, "sweep", self.sweep)
            start += QUARTER

    async def apply(self, *, prune: bool = False) -> None:
        """Bring Prefect in line with what is stored, as `gda apply` and the nightly job do."""
        begun, made, gone = await self.deployments.apply(self.store, prune=prune)
        self.figures["deployments made"] += made
        self.figures["deployments deleted"] += gone
        self.say(f"apply: {made} made, {gone} deleted")
        for planned in begun:
            self._plan(planned, self.clock.instant)

    async def sweep(self) -> None:
        """Sweep once, as each minute does; drains start soon after."""
        self.figures["sweeps"] += 1
        swept = await sweep(self.store, self.settings, Waker("sweep"), ensure_drain=self._ask, close_runs=_none)
        assert not swept.failures, swept.failures
        self.figures["promised by the sweep"] += swept.promised
        self.figures["recovered"] += swept.recovered
        self.say(str(swept))

    async def rows(self) -> dict[str, list[Row]]:
        """The ledger's rows by user, up to the end of the year."""
        own = occurrences.c
        found: dict[str, list[Row]] = {}
        async with self.store.database.read() as connection:
            query = select(own.id, own.user_id, own.slot, own.due_at, own.status, own.reason)
            query = query.where(own.due_at <= self.until).order_by(own.user_id, own.due_at)
            for row in await connection.execute(query):
                mine = Row(row.slot, row.due_at, row.status, row.reason, self.performed[row.id])
                found.setdefault(row.user_id, []).append(mine)
        return found

    def _plan(self, planned: Planned, after: datetime) -> None:
        due = self.deployments.next(planned, after)
        fault, starts = deliveries(self.rng, due)

        async def go_on() -> None:
            if self.deployments.lives(planned):
                self._plan(planned, due)

        for start in starts:
            self.at(start, "wake", lambda: self._woken(planned))
        self.figures[f"wake-up {fault}"] += 1
        if fault not in ("on time", "twice"):
            self.sweep_after(due)
        self.at(due, "cron", go_on)

    async def _woken(self, planned: Planned) -> None:
        if planned.title in self.deployments.there:
            self.figures["runs"] += 1
            await self.serve(self.deployments.scope(planned.title), "schedule")

    async def serve(self, scope: Scope, woken_by: str) -> None:
        """What a run does: promise, claim, perform, settle."""
        self._numbers += 1
        worker = Worker(f"run-{self._numbers}")
        promised = await self.store.ledger.promise(scope, Waker(woken_by, worker.owner))
        done, crashed = 0, self.rng.random() < self.crashes
        while claims := await self.store.ledger.claim(scope, worker, limit=AT_ONCE):
            if crashed:
                await self._crash(claims)
                break
            done += await self._perform(claims)
            if len(claims) < AT_ONCE:
                break
        self.say(f"{woken_by} {scope}: {len(promised.scheduled)} promised, {promised.skipped} refused, {done} done")
        if len(promised.scheduled) > done:
            await self._wait(scope)

    async def _perform(self, claims: list[Claim]) -> int:
        numbers = await self.store.ledger.start_all(claims)
        endings = [Ending(one, n, DONE) for one, n in zip(claims, numbers, strict=True) if isinstance(n, int)]
        assert len(endings) == len(claims), "nobody else is at work"
        assert not any(await self.store.ledger.settle_all(endings))
        self.performed.update(one.occurrence.id for one in claims)
        return len(claims)

    async def _crash(self, claims: list[Claim]) -> None:
        self.figures["crashes"] += 1
        if self.rng.random() < 0.5:
            await self.store.ledger.start_all(claims[: self.rng.randrange(1, len(claims) + 1)])
        self.sweep_after(self.clock.instant + self.settings.lease)

    async def _wait(self, scope: Scope) -> None:
        """Wait for what was promised early, as a run waits in its process."""
        ready = await self.store.ledger.next_ready(scope)
        if ready is not None and ready > self.clock.instant:
            self.at(ready, "wait", lambda: self.serve(scope, "schedule"))

    async def _ask(self, kind: str, queue: str) -> bool:
        if ("drain", self.clock.instant) not in self._asked:
            self._asked.add(("drain", self.clock.instant))
            self.at(self.clock.instant + timedelta(seconds=self.rng.randrange(2, 30)), "drain", self.drain)
        return True

    async def drain(self) -> None:
        """Perform whatever waits, and alone what a worker died under."""
        self.figures["drains"] += 1
        await self.serve(Scope(KIND), "drain")
        alone = Worker(f"alone-{self._numbers}")
        while suspects := await self.store.ledger.claim(Scope(KIND), alone, limit=1, suspects=True):
            self.figures["performed alone"] += await self._perform(suspects)

    def _put_off(self, name: str, action: Action) -> None:
        """An outage: of three runs that Prefect would start one comes late, the others never."""
        self.figures["lost in the outage"] += 1
        if name == "apply" or (name == "wake" and self.rng.random() < 0.33):
            self.at(self.outage.until + timedelta(seconds=self.rng.randrange(1, 600)), name, action)

    async def _end(self) -> None:
        self.crashes = 0
        for _ in range(3):
            self.clock.advance(minutes=10)
            await self.sweep()
            await self.drain()

    async def _do(self, deed: Deed) -> None:
        own = self.store.schedules
        match deed.verb:
            case "join":
                await self.store.users.add(f"{deed.user}@example.org", timezone=deed.zone, user_id=deed.user)
                await own.set(Wish(deed.user, KIND, deed.spelling, catch_up=deed.catch_up))
            case "set":
                await own.set(Wish(deed.user, KIND, deed.spelling, catch_up=deed.catch_up))
            case "move":
                await own.move_user(deed.user, deed.zone)
            case "pause" | "resume":
                await own.enable(deed.user, KIND, "default", enabled=deed.verb == "resume")
            case "remove":
                await own.remove(deed.user, KIND, "default")
            case _:
                await self.store.users.set_status(deed.user, "paused" if deed.verb == "leave" else "active")


async def _none(_: Store) -> int:
    return 0


@asynccontextmanager
async def a_quick_store(folder: Path, clock: VirtualClock, settings: Settings) -> AsyncIterator[Store]:
    """A store on a file that is never synced: a year is no test of disks."""
    async with a_database(f"sqlite+aiosqlite:///{folder}/year.db", clock=clock) as database:
        await database.engine.dispose()

        @event.listens_for(database.engine.sync_engine, "connect")
        def _unsynced(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.close()

        yield make_store(database, settings)
