"""The year itself: one virtual clock, one heap of events, the real store and sweep; each event is a line of the log."""

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from gda.lifecycle import Claim, Settlement, Status, decide
from gda.outcome import Done, Fail, Outcome, Retry, Skip
from gda.retry import RetryPolicy
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Which, Worker
from gda.store.schedules import schedule_id
from gda.store.settlements import Ending
from gda.store.tables import dead_letters, occurrences
from gda.sweep import sweep
from tests.builders import VirtualClock
from tests.year.oracle import Row, Span
from tests.year.people import SPREAD, Deed
from tests.year.prefect import KIND, Deployments, Planned, deliveries

QUARTER = timedelta(minutes=15)
CRASHES = 0.004
"""How many runs die between claim and settlement."""
ATTEMPTS = RetryPolicy(attempts=4)
HOPELESS = 0.001
"""How many occurrences fail at every attempt until somebody replays them."""
AT_ONCE = 500
EARLY = timedelta(seconds=90)

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
    ended: dict[str, list[tuple[datetime, Status]]] = field(default_factory=dict)
    hopeless: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    troubled: bool = True
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
            if self.outage.holds(instant) and name in ("wake", "wait", "sweep", "drain", "apply"):
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
            self.say(f"{deed.user} {deed.verb} {deed.zone} {deed.asked}")

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

    async def replay(self) -> None:
        """Give every other dead letter a new life, as somebody who looks once a week."""
        letters = await self.store.dead_letters.find(Which(), limit=1000, oldest_first=True)
        chosen = tuple(letter.occurrence_id for letter in letters[::2])
        if chosen:
            self.hopeless.difference_update(chosen)
            await self.store.dead_letters.replay(Which(ids=chosen), by="the operator")
            self.sweep_after(self.clock.instant)
        self.figures["replayed"] += len(chosen)
        self.say(f"replay: {len(chosen)}")

    async def sweep(self) -> None:
        """Sweep once, as each minute does; drains start soon after."""
        self.figures["sweeps"] += 1
        swept = await sweep(
            self.store, self.settings, Waker("sweep"), ensure_drain=self._ask, close_runs=_none, heed=self._heed
        )
        assert not swept.failures, swept.failures
        self.figures["promised by the sweep"] += swept.promised
        self.figures["recovered"] += swept.recovered
        if swept.recovered:  # What came back is ready only now, and counts as waiting two minutes later.
            self.sweep_after(self.clock.instant)
        self.say(str(swept))

    async def _heed(self, store: Store) -> int:
        """Tell the ledger whose deployments are paused in Prefect."""
        if not self.stopped:
            return 0
        early = -timedelta(seconds=self.settings.sweep_grace_seconds)
        watched = await store.commands.watched(early)
        return await store.commands.heed_pauses([one.id for one in watched if one.user_id in self.stopped], [])

    async def rows(self) -> dict[str, list[Row]]:
        """The ledger's rows by user, up to the end of the year."""
        own = occurrences.c
        found: dict[str, list[Row]] = {}
        async with self.store.database.read() as connection:
            letters = select(dead_letters.c.occurrence_id).where(dead_letters.c.closed_at.is_(None))
            told = set((await connection.execute(letters)).scalars())
            query = select(own.id, own.user_id, own.slot, own.due_at, own.status, own.reason)
            query = query.where(own.due_at <= self.until).order_by(own.user_id, own.due_at)
            for row in await connection.execute(query):
                ends = self.ended.get(row.id, [])
                first, statuses = ends[0][0] if ends else None, tuple(str(status) for _, status in ends)
                mine = Row(row.slot, row.due_at, row.status, row.reason, first, statuses, row.id in told)
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
            self.sweep_after(due, SPREAD)
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
        tried, crashed = list[str](), self.troubled and self.rng.random() < CRASHES
        while claims := await self.store.ledger.claim(scope, worker, limit=AT_ONCE):
            if crashed:
                await self._crash(claims)
                break
            tried += await self._perform(claims)
        counts = f"{len(promised.scheduled)} promised, {promised.skipped} refused, {len(tried)} tried"
        self.say(f"{woken_by} {scope}: {counts}")
        if not set(tried).issuperset(promised.scheduled):
            await self._wait(scope)

    async def _perform(self, claims: list[Claim]) -> list[str]:
        numbers = await self.store.ledger.start_all(claims)
        endings = [Ending(one, n, self._settle(one)) for one, n in zip(claims, numbers, strict=True) if type(n) is int]
        assert len(endings) == len(claims), "nobody else is at work"
        assert not any(await self.store.ledger.settle_all(endings))
        for one in endings:
            self.ended.setdefault(one.claim.occurrence.id, []).append((self.clock.instant, one.settlement.status))
            self.figures[f"attempts {one.settlement.status}"] += 1
            if one.settlement.ready_at is not None:
                self.sweep_after(one.settlement.ready_at)
        return [one.occurrence.id for one in claims]

    def _settle(self, claim: Claim) -> Settlement:
        outcome = self._outcome(claim.occurrence.id)
        return decide(claim.occurrence, outcome, policy=ATTEMPTS, now=self.clock.instant, chance=self.rng)

    def _outcome(self, occurrence_id: str) -> Outcome:
        chance = self.rng.random()
        if self.troubled and chance < HOPELESS:
            self.hopeless.add(occurrence_id)
        if self.troubled and (chance < 0.01 or occurrence_id in self.hopeless):
            return Retry("the mailbox does not answer", timedelta(minutes=20) if chance < 0.003 else None)
        if chance < 0.011:
            return Fail("there is no such mailbox")
        return Skip("nothing new") if chance < 0.03 else Done("done")

    async def _crash(self, claims: list[Claim]) -> None:
        self.figures["crashes"] += 1
        if self.rng.random() < 0.5:
            await self.store.ledger.start_all(claims[: self.rng.randrange(1, len(claims) + 1)])
        self.sweep_after(self.clock.instant + self.settings.lease)

    async def _wait(self, scope: Scope) -> None:
        """Wait for what was promised early, as a run waits in its process; what is spread wider is left to drains."""
        ready = await self.store.ledger.next_ready(scope)
        if ready is None or ready <= self.clock.instant:
            return
        self.sweep_after(self.clock.instant, SPREAD)
        if ready <= self.clock.instant + EARLY:
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
            self.figures["performed alone"] += len(await self._perform(suspects))

    def _put_off(self, name: str, action: Action) -> None:
        """An outage: of three runs that Prefect would start one comes late, the others never."""
        self.figures["lost in the outage"] += 1
        if name == "apply" or (name == "wake" and self.rng.random() < 0.33):
            self.at(self.outage.until + timedelta(seconds=self.rng.randrange(1, 600)), name, action)

    async def _end(self) -> None:
        self.troubled = False
        for _ in range(4):
            self.clock.advance(minutes=30)
            await self.sweep()
            await self.drain()

    async def _do(self, deed: Deed) -> None:
        own = self.store.schedules
        match deed.verb:
            case "join":
                await self.store.users.add(f"{deed.user}@example.org", timezone=deed.zone, user_id=deed.user)
                await own.set(deed.asked.of(deed.user, KIND))
            case "set":
                await own.set(deed.asked.of(deed.user, KIND))
            case "move":
                await own.move_user(deed.user, deed.zone)
            case "pause" | "resume":
                await own.enable(deed.user, KIND, "default", enabled=deed.verb == "resume")
            case "remove":
                self.stopped.discard(deed.user)
                await own.remove(deed.user, KIND, "default")
            case "stop":
                self.stopped.add(deed.user)
                await self.store.commands.heed_pauses([schedule_id(deed.user, KIND, "default")], [])
            case "go":
                self.stopped.remove(deed.user)
                await self.store.commands.heed_pauses([], [schedule_id(deed.user, KIND, "default")])
            case _:
                await self.store.users.set_status(deed.user, "paused" if deed.verb == "leave" else "active")


async def _none(_: Store) -> int:
    return 0
