"""Any sequence of calls, clocks, crashes and late workers leaves the ledger where a short model says it stands.

``make test`` tries 20 sequences of 30 steps on SQLite; ``make model`` 200 of 50 on both databases (``MODEL=NxM``).
``python -m tests.mutants --model`` shows which deliberate faults this finds alone.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from gda.errors import ClaimLost
from gda.lifecycle import Claim, decide
from gda.outcome import Done, Fail, Hold, Outcome, Retry, Skip, Snooze
from gda.retry import RetryPolicy
from gda.store import ByHand, Intent, MailCursor, Scope, Waker, Which, Worker
from gda.store.errands import Confirmation
from tests.integration.ledger_model import LEASE, MOST_ATTEMPTS, SETTLED, WAITING, Row
from tests.integration.ledger_stage import NoJitter, Stage
from tests.support.postgres import Postgres

FULL = "MODEL" in os.environ
EXAMPLES, STEPS = (int(part) for part in os.environ.get("MODEL", "20x30").split("x"))
# Whoever only asks whether a fault is found (make mutants) need not wait for the shortest example.
PHASES = (Phase.generate,) if os.environ.get("MODEL_SHRINK") == "0" else tuple(Phase)
USERS, OWNERS = ("ada", "bruno"), ("w1", "w2", "w3")
ALL, CAUSE, BUSY = Scope("digest"), "consent:google", timedelta(seconds=90)
POLICY = RetryPolicy(attempts=MOST_ATTEMPTS)

users, owners = st.sampled_from(USERS), st.sampled_from(OWNERS)
endings = st.sampled_from(["done", "skip", "hold", "fail", "snooze", "retry", "retry"])
waits = st.sampled_from([timedelta(0), timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=23)])


class LedgerMachine(RuleBasedStateMachine):
    """The real ledger beside the model; every rule does the same to both."""

    claims = Bundle("claims")

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage, self.clock, self.do = stage, stage.clock, stage.do
        self.store = stage.emptied()
        self.rows: dict[str, Row] = {}
        self.cursors: dict[str, Any] = {}

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
        longest = sorted(self.rows[one].ready for one in could)[: len(ids)]
        assert sorted(self.rows[one].ready for one in ids) == longest, "something that waited longer was left"
        self.newest = taken
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
        claim=claims, how=endings, wait=waits, here=st.booleans(),
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
        if self.agree(claim, self.store.effects.intend(Intent(claim, "<1@gda>", BUSY))) and row.effect is None:
            row.effect, row.busy = "intent", self.clock.instant + BUSY
        elif self.holds(claim) and row.effect == "intent":
            row.busy = self.clock.instant + BUSY

    def confirms(self, claim: Claim) -> None:
        row = self.rows[claim.occurrence.id]
        cursor = MailCursor(self.clock.instant)
        if self.agree(claim, self.store.errands.confirm(Confirmation(claim, "250", cursor))):
            self.cursors[row.user] = cursor.up_to
            row.effect = "confirmed" if row.effect else None

    # What goes wrong at the border of two lives needs several steps in a row, which chance alone seldom makes.
    @rule(target=claims, how=endings, wait=waits, later=st.sampled_from([0, 1, 30, 600]))
    def one_is_tried_and_the_next_asks(self, how: str, wait: timedelta, later: int) -> Any:
        for claim in self.claims_one("w1"):
            self.settles(claim, how, wait, here=False)
        self.clock.advance(seconds=later)
        return multiple(*self.claims_one("w2"))

    @rule(target=claims, step=st.sampled_from(["start", "check", "intend", "confirm", "settle"]), sends=st.booleans())
    def a_worker_comes_back_late(self, step: str, sends: bool) -> Any:
        late = self.claims_one("w1") or self.claims_one("w1", suspects=True)
        for claim in late:
            if sends:
                self.intends(claim)
            self.clock.advance(seconds=61)
            self.checks(claim)
            self.claims_some("w2", 3, False, True)
            self.claims_some("w3", 3, True, True)
            if step == "settle":
                self.settles(claim, "done", timedelta(0), here=False)
            else:
                self.works(claim, step)
        return multiple(*late)

    def claims_one(self, owner: str, *, suspects: bool = False) -> list[Claim]:
        before = {i: row.fence for i, row in self.rows.items()}
        self.claims_some(owner, 1, suspects, True)
        return [claim for claim in self.newest if claim.fence > before[claim.occurrence.id]]

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

    @rule(how=st.sampled_from(["replay", "replay", "replay all", "discard", "expire"]), data=st.data())
    def a_person_looks_into_the_inbox(self, how: str, data: st.DataObject) -> None:
        if how == "expire":
            self.expires()
            return
        letters = sorted(i for i, row in self.rows.items() if row.letter)
        chosen = letters if how == "replay all" else letters and [data.draw(st.sampled_from(letters))]
        which = Which(ids=tuple(chosen), closed=True)
        if not chosen:
            return
        exit_ = self.store.dead_letters.discard if how == "discard" else self.store.dead_letters.replay
        open_ = {i for i in chosen if self.rows[i].letter == "open"}
        assert {letter.occurrence_id for letter in self.do(exit_(which, by="ops"))} == open_
        for row in (self.rows[i] for i in open_):
            if how == "discard":
                row.status, row.letter = "discarded", "discarded"
            else:
                row.is_replayed(self.clock.instant)

    def expires(self) -> None:
        now = self.clock.instant
        worthless = {i for i, row in self.rows.items() if row.status == "held" and row.expires <= now}
        assert set(self.do(self.store.ledger.expire_held())) == worthless
        for row in (self.rows[i] for i in worthless):
            row.lets_go("skipped", row.ready)

    def held_by(self, owner: str) -> list[Row]:
        return [row for row in self.rows.values() if row.status == "running" and row.owner == owner]

    def recover_model(self) -> int:
        abandoned = [row for row in self.rows.values() if row.is_abandoned(self.clock.instant)]
        for row in abandoned:
            row.recovers(self.clock.instant)
        return len(abandoned)

    @invariant()
    def the_ledger_stands_where_the_model_does(self) -> None:
        assert self.stage.read() == ({i: self.shown(row) for i, row in self.rows.items()}, self.cursors)

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
            "letter": row.letter,
            "effect": row.effect,
            "finished": row.status in SETTLED,
        }


@pytest.fixture(params=["sqlite", "postgresql"] if FULL else ["sqlite"])
def stage(request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], Postgres]) -> Iterator[Stage]:
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    if request.param == "postgresql":
        url = asyncio.run(postgres().create_database())
    stage = Stage(url, USERS)
    yield stage
    stage.close()


def test_the_ledger_stands_where_the_model_does(stage: Stage) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: LedgerMachine(stage),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=PHASES,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
