"""What no crash, no late worker and no neighbour may break: writes that belong together, fences, and whose is whose."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gda.errors import ClaimLost
from gda.lifecycle import Claim, DeadReason, Settlement, Status
from gda.store import ByHand, Confirmation, Credential, Intent, MailCursor, Refusal, Scope, Store, Waker, Which, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

ALL = Scope("digest")
PEOPLE = ("ada", "bruno", "chiara")
DEAD = Settlement(Status.DEAD, "failed", burns=True, reason="550", dead_reason=DeadReason.PERMANENT)


def of(user: str) -> Scope:
    return Scope("digest", user_id=user)


async def owed(store: Store, *users: str) -> None:
    for user in users:
        await a_user_with_digest(store, user)
        await store.ledger.promise_by_hand(of(user), ByHand(), Waker("hand"))


async def claimed(store: Store, user: str, owner: str, *, suspects: bool = False) -> Claim:
    [claim] = await store.ledger.claim(of(user), Worker(owner), limit=1, suspects=suspects)
    await store.ledger.start(claim)
    return claim


REFUSING = {
    "sqlite": (
        ["CREATE TRIGGER full_disk BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"],
        ["DROP TRIGGER full_disk"],
    ),
    "postgresql": (
        [
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''the disk is full''; END'",
            "CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()",
        ],
        ["DROP TRIGGER full_disk ON {table}", "DROP FUNCTION full_disk"],
    ),
}
"""By database: what lets a table refuse new rows, and what ends that."""


@asynccontextmanager
async def full(store: Store, table: str) -> AsyncIterator[None]:
    """A table that can be read and takes no new row, as when a disk is full."""
    made, removed = REFUSING[store.database.engine.dialect.name]
    await perform(store, [statement.format(table=table) for statement in made])
    yield
    await perform(store, [statement.format(table=table) for statement in removed])


async def perform(store: Store, statements: Sequence[str]) -> None:
    """Execute statements in a transaction."""
    async with store.database.write() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_a_promise_that_cannot_be_written_leaves_its_schedule_where_it_was(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, expression="daily 07:30")
        [before] = await store.schedules.all()
        clock.advance(hours=2)
        async with full(store, "gda_occurrences"):
            with pytest.raises(DBAPIError):
                await store.ledger.promise(ALL, Waker("schedule"))
        [after] = await store.schedules.all()
        promised = await store.ledger.promise(ALL, Waker("schedule"))

    assert after.next_due_at == before.next_due_at
    assert len(promised.scheduled) == 1


async def test_what_cannot_be_buried_has_not_died(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, "ada")
        claim = await claimed(store, "ada", "w")
        async with full(store, "gda_dead_letters"):
            with pytest.raises(DBAPIError):
                await store.ledger.settle(claim, 1, DEAD)
        alive = await store.ledger.get(claim.occurrence.id)
        await store.ledger.settle(claim, 1, DEAD)
        story = await store.history.story(claim.occurrence.id)

    assert (alive.status, alive.burnt) == (Status.RUNNING, 0)
    assert (story.occurrence.status, story.dead_reason) == (Status.DEAD, "permanent")


async def test_a_cursor_that_cannot_be_moved_leaves_the_mail_unconfirmed(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, "ada")
        claim = await claimed(store, "ada", "w")
        await store.effects.intend(Intent(claim, "<1@gda>", timedelta(seconds=30), {"window": "first"}))
        confirmation = Confirmation(claim, "250 ok", MailCursor(MORNING, ("m1",)))
        async with full(store, "gda_mail_cursors"):
            with pytest.raises(DBAPIError):
                await store.errands.confirm(confirmation)
        [doubtful] = (await store.history.story(claim.occurrence.id)).effects
        await store.errands.confirm(confirmation)
        errand = await store.errands.errand(claim)

    assert doubtful.state == "intent"
    assert errand.effect is not None
    assert (errand.effect.state, errand.cursor) == ("confirmed", MailCursor(MORNING, ("m1",)))


async def test_a_late_worker_writes_no_intent_no_confirmation_and_no_cursor(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await owed(store, "ada")
        late = await claimed(store, "ada", "late")
        clock.advance(seconds=61)
        taker = await claimed(store, "ada", "taker", suspects=True)
        cursor = MailCursor(MORNING, ("m1",))

        with pytest.raises(ClaimLost):
            await store.effects.intend(Intent(late, "<1@gda>", timedelta(seconds=30), {"window": "late"}))
        await store.effects.intend(Intent(taker, "<1@gda>", timedelta(seconds=30), {"window": "taker"}))
        with pytest.raises(ClaimLost):
            await store.errands.confirm(Confirmation(late, "250 late", cursor))
        with pytest.raises(ClaimLost):
            await store.errands.advance(late, cursor)
        await store.effects.refuse(Refusal(late))
        errand = await store.errands.errand(taker)

    assert errand.effect is not None
    assert (errand.effect.state, errand.effect.content, errand.cursor) == ("intent", {"window": "taker"}, None)


async def test_before_it_sends_a_worker_whose_lease_ran_out_is_refused_though_nobody_took_over(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await owed(store, "ada")
        claim = await claimed(store, "ada", "paused")
        await store.ledger.check(claim)
        clock.advance(seconds=60)

        with pytest.raises(ClaimLost):
            await store.ledger.check(claim)


async def test_nobody_is_taken_over_while_a_send_may_still_be_under_way(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await owed(store, "ada")
        claim = await claimed(store, "ada", "sender")
        await store.effects.intend(Intent(claim, "<1@gda>", timedelta(seconds=300)))
        clock.advance(seconds=61)
        while_sending = await store.ledger.recover()
        clock.advance(seconds=240)
        afterwards = await store.ledger.recover()

    assert (while_sending, afterwards) == (0, 1)


async def test_a_wake_up_for_one_user_takes_and_settles_nobody_elses(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, *PEOPLE)
        claims = await store.ledger.claim(of("bruno"), Worker("w"), limit=10)
        rows = {row.user_id: row.status for row in await store.history.list()}

    assert [claim.occurrence.user_id for claim in claims] == ["bruno"]
    assert rows == {"ada": Status.SCHEDULED, "bruno": Status.RUNNING, "chiara": Status.SCHEDULED}


async def test_each_errand_of_a_shared_read_holds_its_own_users_things(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, *PEOPLE)
        await store.credentials.put([Credential(n, "google", f"sealed for {n}", None, None, "active") for n in PEOPLE])
        claims = await store.ledger.claim(ALL, Worker("w"), limit=10)
        for claim in claims:
            await store.errands.advance(claim, MailCursor(MORNING, (f"mail of {claim.occurrence.user_id}",)))
        errands = await asyncio.gather(*(store.errands.errand(claim) for claim in claims))

    for user, errand in zip([claim.occurrence.user_id for claim in claims], errands, strict=True):
        assert errand.user.id == user
        assert errand.credential is not None
        assert errand.credential.refresh_token == f"sealed for {user}"
        assert errand.cursor is not None
        assert errand.cursor.recent_ids == (f"mail of {user}",)


async def test_what_is_replayed_keeps_its_name_so_that_asking_again_makes_no_second_one(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, "ada")
        claim = await claimed(store, "ada", "w")
        await store.ledger.settle(claim, 1, DEAD)
        await store.dead_letters.replay(Which(), by="ops")
        [asked] = await store.ledger.promise_by_hand(of("ada"), ByHand(), Waker("hand"))
        rows = await store.history.list()

    assert not asked.new
    assert [(row.id, row.status) for row in rows] == [(claim.occurrence.id, Status.SCHEDULED)]


async def test_a_claim_takes_no_more_than_its_limit_however_postgresql_plans_it(postgres_url):
    async with a_store(postgres_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, "ada")
        # Statistics of a table that was nearly empty led to a plan that asked the inner query again for each row.
        async with store.database.write() as connection:
            await connection.execute(text("ANALYZE gda_occurrences"))
        for number in range(7):
            await store.ledger.promise_by_hand(of("ada"), ByHand(extra=str(number)), Waker("hand"))
        taken = [len(await store.ledger.claim(ALL, Worker("w"), limit=limit)) for limit in (1, 3, 100)]

    assert taken == [1, 3, 4]
