"""Each transition of the state machine, walked with the store's real verbs from every status: possible, or refused."""

import inspect
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import delete, update

from gda import lifecycle
from gda.errors import ClaimLost
from gda.lifecycle import TRANSITIONS, Claim, DeadReason, Settlement, Status
from gda.store import ByHand, Scope, Store, Waker, Which, Worker
from gda.store.tables import occurrences
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

ADA, CAUSE = Scope("digest", user_id="ada"), "consent:google"
ENDS = {
    "done": Settlement(Status.DONE, "done"),
    "skip": Settlement(Status.SKIPPED, "skipped", reason="no new mail"),
    "retry": Settlement(Status.RETRYING, "failed", burns=True, reason="503", ready_at=MORNING),
    "hold it": Settlement(Status.HELD, "held", reason=CAUSE),
    "fail": Settlement(Status.DEAD, "failed", burns=True, reason="550", dead_reason=DeadReason.PERMANENT),
}
FROM = {
    "claim": {Status.SCHEDULED: Status.RUNNING, Status.RETRYING: Status.RUNNING},
    "hold": {Status.SCHEDULED: Status.HELD, Status.RETRYING: Status.HELD},
    "cancel": dict.fromkeys((Status.SCHEDULED, Status.RETRYING, Status.HELD), Status.CANCELLED),
    "release": {Status.HELD: Status.SCHEDULED},
    "release late": {Status.HELD: Status.SKIPPED},
    "expire held": {Status.HELD: Status.SKIPPED},
    "hand back": {Status.RUNNING: Status.SCHEDULED},
    "hand back begun": {Status.RUNNING: Status.RETRYING},
    "recover": {Status.RUNNING: Status.SCHEDULED},
    "recover begun": {Status.RUNNING: Status.RETRYING},
    "replay": {Status.DEAD: Status.SCHEDULED},
    "discard": {Status.DEAD: Status.DISCARDED},
    **{end: {Status.RUNNING: settlement.status} for end, settlement in ENDS.items()},
}
"""What each verb makes of each status; from every other one it changes nothing."""


class Walk:
    """One occurrence of ada's on its way."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock, self.ledger = store, clock, store.ledger
        self.last: Claim | None = None

    async def status(self) -> Status:
        [row] = await self.store.history.list()
        return row.status

    async def claim(self) -> None:
        for claim in await self.ledger.claim(ADA, Worker("w"), limit=1):
            self.last = claim

    async def settle(self, settlement: Settlement) -> None:
        """As a worker does that believes to hold it, whoever does."""
        [row] = await self.store.history.list()
        claim = self.last or Claim(row, "w", row.fence)
        try:
            number = await self.ledger.start(claim)
            await self.ledger.settle(claim, number, settlement)
        except ClaimLost:
            assert row.status is not Status.RUNNING

    async def begin(self) -> None:
        """Start what runs, so that its return is one of something begun."""
        if self.last is not None and await self.status() is Status.RUNNING:
            await self.ledger.start(self.last)

    async def arrive(self, status: Status) -> None:
        """Bring a new occurrence, the only one, to ``status`` by the ledger's own verbs."""
        self.clock.instant, self.last = MORNING, None
        async with self.store.database.write() as connection:
            await connection.execute(delete(occurrences))
        await self.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        if status is Status.CANCELLED:
            await self.act("cancel")
        if status in (Status.SCHEDULED, Status.CANCELLED):
            return
        await self.claim()
        way = {settlement.status: end for end, settlement in ENDS.items()} | {Status.DISCARDED: "fail"}
        if status is not Status.RUNNING:
            await self.settle(ENDS[way[status]])
        if status is Status.DISCARDED:
            await self.act("discard")
        assert await self.status() is status

    async def act(self, verb: str) -> None:
        """Call one of the store's verbs at what there is."""
        [row] = await self.store.history.list()
        me, which = Worker("w"), Which(ids=(row.id,), closed=True)
        verbs: dict[str, Callable[[], Awaitable[object]]] = {
            "claim": self.claim,
            "hold": lambda: self.ledger.hold(CAUSE, user_id="ada"),
            "cancel": lambda: self.ledger.cancel([row.id], "not wanted"),
            "release": lambda: self.ledger.release(CAUSE),
            "expire held": self.ledger.expire_held,
            "hand back": lambda: self.ledger.hand_back(me),
            "recover": self.ledger.recover,
            "replay": lambda: self.store.dead_letters.replay(which, by="ops"),
            "discard": lambda: self.store.dead_letters.discard(which, by="ops"),
        }
        if verb.endswith("begun"):
            await self.begin()
        if verb in ("release late", "expire held"):
            self.clock.advance(days=2)
        if verb.startswith("recover"):
            self.clock.advance(seconds=61)
        if verb in ENDS:
            await self.settle(ENDS[verb])
        else:
            await verbs[verb.removesuffix(" begun").removesuffix(" late")]()


def test_the_verbs_make_exactly_the_transitions_of_the_table():
    made = {(before, after) for ways in FROM.values() for before, after in ways.items()}

    assert made == {(before, after) for before, several in TRANSITIONS.items() for after in several}
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize("verb", FROM)
async def test_from_each_status_a_verb_does_what_the_table_allows_and_nothing_else(tmp_path, verb):
    clock, became = VirtualClock(MORNING), {}
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await a_user_with_digest(store)
        walk = Walk(store, clock)
        for status in Status:
            await walk.arrive(status)
            await walk.act(verb)
            became[status] = await walk.status()

    assert became == {status: FROM[verb].get(status, status) for status in Status}


async def test_a_status_that_is_none_is_refused_by_the_database_itself(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await Walk(store, clock).arrive(Status.SCHEDULED)
        with pytest.raises(Exception, match=r"(?i)check constraint"):
            async with store.database.write() as connection:
                await connection.execute(update(occurrences).values(status="lost"))


def test_the_diagram_names_every_status_and_what_leads_out_of_it():
    diagram = inspect.getdoc(lifecycle) or ""
    ways = ("promise", "claim", "Done", "Skip", "Retry", "Snooze", "Hold", "Fail", "lease expired", "hand-back", "hold")
    exits = ("release", "expired", "cancel", "replay", "discard")

    assert [str(status) for status in Status if str(status) not in diagram] == []
    assert [word for word in (*ways, *exits) if f"--{word}" not in diagram] == []
