"""Any sequence of calls, clocks, crashes and late workers leaves the ledger where a short model says it stands.

``make test`` tries 20 sequences of 30 steps; ``MODEL=200x50`` (``make model``) asks for more.
"""

import asyncio
import os
import random
import shutil
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import select

from gda.errors import ClaimLost
from gda.lifecycle import Claim, decide
from gda.outcome import Done, Fail, Hold, Outcome, Retry, Skip, Snooze
from gda.retry import RetryPolicy
from gda.settings import Settings
from gda.store import ByHand, Intent, MailCursor, Scope, Waker, Worker, make_store, open_database
from gda.store.effects import Confirmation
from gda.store.tables import attempts, dead_letters, effects, occurrences
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest
from tests.integration.ledger_model import LEASE, MOST_ATTEMPTS, WAITING, Row

EXAMPLES, STEPS = (int(part) for part in os.environ.get("MODEL", "20x30").split("x"))
USERS, OWNERS = ("ada", "bruno"), ("w1", "w2", "w3")
ALL, CAUSE, BUSY = Scope("digest"), "consent:google", timedelta(seconds=90)
POLICY = RetryPolicy(attempts=MOST_ATTEMPTS)

users, owners = st.sampled_from(USERS), st.sampled_from(OWNERS)
waits = st.sampled_from([timedelta(0), timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=23)])


class NoJitter(random.Random):
    """Chance that adds nothing to a wait, so that the model can say it."""

    def random(self) -> float:
        return 0.0


@cache
def template() -> tuple[TemporaryDirectory[str], Path]:
    """A database with the users, copied for each sequence."""
    folder = TemporaryDirectory(prefix="gda-model-")
    path = Path(folder.name, "gda.db")

    async def make() -> None:
        async with a_store(f"sqlite+aiosqlite:///{path}", clock=VirtualClock(MORNING)) as store:
            for user in USERS:
                await a_user_with_digest(store, user)

    asyncio.run(make())
    return folder, path


class LedgerMachine(RuleBasedStateMachine):
    """The real ledger on SQLite beside the model; every rule does the same to both."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(prefix="gda-model-")
        path = shutil.copy(template()[1], self.folder.name)
        self.loop = asyncio.Runner()
        self.clock = VirtualClock(MORNING)
        self.database = open_database(f"sqlite+aiosqlite:///{path}", clock=self.clock)
        self.store = make_store(self.database, Settings(lease_seconds=int(LEASE.total_seconds())))
        self.rows: dict[str, Row] = {}

    def do(self, call: Any) -> Any:
        return self.loop.run(call)

    def teardown(self) -> None:
        self.do(self.database.close())
        self.loop.close()
        self.folder.cleanup()

    def holds(self, claim: Claim) -> bool:
        row = self.rows[claim.occurrence.id]
        return row.status == "running" and row.fence == claim.fence

    def agree(self, claim: Claim, call: Any, *, still: bool | None = None) -> bool:
        """Make a guarded call: it is refused exactly when the claim is held no more."""
        expected = self.holds(claim) if still is None else still
        try:
            self.do(call)
        except ClaimLost:
            assert not expected, "a claim that is held was refused"
            return False
        assert expected, "a late writer was let through"
        return True

    @initialize(target=claims)
    def begins(self) -> Any:
        for request in range(2):
            for user in USERS:
                self.promises(user, request)
        return self.claims_some("w1", 2, False, True)

    @rule(user=users, request=st.integers(0, 5))
    def promises(self, user: str, request: int) -> None:
        asked = ByHand(extra=str(request))
        [target] = self.do(self.store.ledger.promise_by_hand(Scope("digest", user), asked, Waker("hand")))
        assert target.new == (target.occurrence.id not in self.rows)
        now = self.clock.instant
        self.rows.setdefault(target.occurrence.id, Row(user, now, now + timedelta(hours=24)))

    @rule(seconds=st.sampled_from([1, 30, 61, 61, 91, 600, 12 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    # Few rules with many sides each: Hypothesis leaves rules out at random, and without claims little happens.
    @rule(
        target=claims,
        owner=owners,
        limit=st.integers(1, 3),
        suspects=st.sampled_from([False, False, True]),
        begin=st.sampled_from([True, True, False]),
    )
    def claims_some(self, owner: str, limit: int, suspects: bool, begin: bool) -> Any:
        taken: list[Claim] = self.do(self.store.ledger.claim(ALL, Worker(owner), limit=limit, suspects=suspects))
        now = self.clock.instant
        self.recover_model()
        could = {i for i, r in self.rows.items() if r.status in WAITING and r.ready <= now and r.suspect == suspects}
        ids = {claim.occurrence.id for claim in taken}
        assert ids <= could
        assert len(ids) == len(taken) == min(limit, len(could))
        for claim in taken:
            self.rows[claim.occurrence.id].takes(owner, now)
            assert (claim.fence, claim.alone) == (self.rows[claim.occurrence.id].fence, suspects)
            if begin:
                self.starts(claim)
        return multiple(*taken)

    @rule(claim=claims, step=st.sampled_from(["start", "start", "check", "intend", "intend", "confirm"]))
    def works(self, claim: Claim, step: str) -> None:
        {"start": self.starts, "check": self.checks, "intend": self.intends, "confirm": self.confirms}[step](claim)

    def starts(self, claim: Claim) -> None:
        row = self.rows[claim.occurrence.id]
        if self.holds(claim) and row.open is not None:
            return  # A worker starts its next attempt after it has settled the last.
        if self.agree(claim, self.store.ledger.start(claim)):
            row.attempts, row.open = row.attempts + 1, claim.alone

    @rule(
        claim=claims, how=st.sampled_from(["done", "skip", "hold", "fail", "snooze", "retry", "retry"]),
        wait=waits, here=st.booleans(),
    )  # fmt: skip
    def settles(self, claim: Claim, how: str, wait: timedelta, here: bool) -> None:
        row, now = self.rows[claim.occurrence.id], self.clock.instant
        if self.holds(claim) and row.open is None:
            self.starts(claim)  # Only what was started ends.
        here = here and how == "retry"
        outcomes: dict[str, Outcome] = {
            "done": Done(), "skip": Skip("nothing"), "hold": Hold(CAUSE), "fail": Fail("550"),
            "snooze": Snooze(now + wait, "later"), "retry": Retry("503", None if here else wait),
        }  # fmt: skip
        known = self.do(self.store.ledger.get(claim.occurrence.id))
        chance = NoJitter()
        settlement = decide(known, outcomes[how], policy=POLICY, now=now, chance=chance, may_retry_here=here)
        if self.agree(claim, self.store.ledger.settle(claim, row.attempts or 1, settlement)):
            row.settles(how, now, wait, here)

    def checks(self, claim: Claim) -> None:
        lease = self.rows[claim.occurrence.id].lease
        live = self.holds(claim) and lease is not None and lease > self.clock.instant
        self.agree(claim, self.store.ledger.check(claim), still=live)

    def intends(self, claim: Claim) -> None:
        row = self.rows[claim.occurrence.id]
        if self.agree(claim, self.store.effects.intend(Intent(claim, "<1@gda>", {}, BUSY))) and row.effect is None:
            row.effect, row.busy = "intent", self.clock.instant + BUSY
        elif self.holds(claim) and row.effect == "intent":
            row.busy = self.clock.instant + BUSY

    def confirms(self, claim: Claim) -> None:
        row = self.rows[claim.occurrence.id]
        cursor = MailCursor(self.clock.instant)
        if self.agree(claim, self.store.effects.confirm(Confirmation(claim, "250", cursor))) and row.effect:
            row.effect = "confirmed"

    @rule(owner=owners, step=st.sampled_from(["renew", "abandon", "hand back", "recover"]))
    def a_worker_lives_or_dies(self, owner: str, step: str) -> None:
        if step == "recover":
            assert self.do(self.store.ledger.recover()) == self.recover_model()
        else:
            {"renew": self.renews, "abandon": self.abandons, "hand back": self.hands_back}[step](owner)

    def renews(self, owner: str) -> None:
        self.do(self.store.ledger.renew(Worker(owner)))
        for row in self.held_by(owner):
            row.lease = self.clock.instant + LEASE

    def abandons(self, owner: str) -> None:
        self.do(self.store.ledger.abandon(Worker(owner)))
        for row in self.held_by(owner):
            row.lease = self.clock.instant

    def hands_back(self, owner: str) -> None:
        mine = self.held_by(owner)
        assert self.do(self.store.ledger.hand_back(Worker(owner))) == len(mine)
        for row in mine:
            row.goes_back(self.clock.instant)

    @rule(user=users, clears=st.booleans())
    def a_cause_comes_or_clears(self, user: str, clears: bool) -> None:
        (self.releases if clears else self.holds_user)(user)

    def holds_user(self, user: str) -> None:
        self.do(self.store.ledger.hold(CAUSE, user_id=user))
        for row in self.rows.values():
            if row.user == user and row.status in WAITING:
                row.status = "held"

    def releases(self, user: str) -> None:
        self.do(self.store.ledger.release(CAUSE, user_id=user))
        now = self.clock.instant
        for row in self.rows.values():
            if row.user == user and row.status == "held":
                worth = row.expires > now
                row.lets_go("scheduled" if worth else "skipped", now if worth else row.ready)

    @rule(claim=claims)
    def cancels(self, claim: Claim) -> None:
        row = self.rows[claim.occurrence.id]
        cancelled = self.do(self.store.ledger.cancel([claim.occurrence.id], "not wanted"))
        assert bool(cancelled) == (row.status in (*WAITING, "held"))
        if cancelled:
            row.status = "cancelled"

    def held_by(self, owner: str) -> list[Row]:
        return [row for row in self.rows.values() if row.status == "running" and row.owner == owner]

    def recover_model(self) -> int:
        abandoned = [row for row in self.rows.values() if row.is_abandoned(self.clock.instant)]
        for row in abandoned:
            row.recovers(self.clock.instant)
        return len(abandoned)

    @invariant()
    def the_ledger_stands_where_the_model_does(self) -> None:
        assert self.do(self.read()) == {i: self.shown(row) for i, row in self.rows.items()}

    @staticmethod
    def shown(row: Row) -> dict[str, Any]:
        return {
            "status": row.status,
            "fence": row.fence,
            "burnt": row.burnt,
            "ready": row.ready,
            "owner": row.owner,
            "lease": row.lease,
            "suspect": row.suspect and row.status != "dead",
            "attempts": row.attempts,
            "unended": int(row.open is not None),
            "letters": int(row.status == "dead"),
            "effect": row.effect,
        }

    async def read(self) -> dict[str, dict[str, Any]]:
        """All that the ledger says, in the model's words."""
        async with self.database.read() as connection:
            rows = (await connection.execute(select(occurrences))).all()
            tries = (await connection.execute(select(attempts.c.occurrence_id, attempts.c.ended_at))).all()
            letters = [row.occurrence_id for row in await connection.execute(select(dead_letters.c.occurrence_id))]
            steps = {row.occurrence_id: row.state for row in await connection.execute(select(effects))}
        return {
            row.id: {
                "status": row.status,
                "fence": row.fence,
                "burnt": row.burnt,
                "ready": row.ready_at,
                "owner": row.lease_owner,
                "lease": row.lease_expires_at,
                "suspect": row.suspect and row.status != "dead",
                "attempts": sum(one.occurrence_id == row.id for one in tries),
                "unended": sum(one.occurrence_id == row.id and one.ended_at is None for one in tries),
                "letters": letters.count(row.id),
                "effect": steps.get(row.id),
            }
            for row in rows
        }


TestLedgerAgainstModel = LedgerMachine.TestCase
TestLedgerAgainstModel.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
