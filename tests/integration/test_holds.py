"""Hold, release, expire and cancel, on SQLite and PostgreSQL alike."""

from datetime import timedelta

from gda.lifecycle import Settlement, Status
from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

ADA = Scope("digest", user_id="ada")
CONSENT = "consent:google"


async def owed(store: Store, *users: str) -> None:
    for user in users:
        await a_user_with_digest(store, user)
        await store.ledger.promise_by_hand(Scope("digest", user_id=user), ByHand(), Waker("hand"))


async def by_user(store: Store) -> dict[str | None, Status]:
    return {row.user_id: row.status for row in await store.history.list()}


async def test_what_is_held_waits_for_its_own_cause_and_user(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, "ada", "bruno")
        held = await store.ledger.hold(CONSENT, user_id="ada")
        claimed = await store.ledger.claim(Scope("digest"), Worker("w"), limit=10)
        other_cause = await store.ledger.release("provider:google", user_id="ada")
        other_user = await store.ledger.release(CONSENT, user_id="bruno")
        released = await store.ledger.release(CONSENT, user_id="ada")
        [claim] = await store.ledger.claim(ADA, Worker("w"), limit=10)

    assert [one.occurrence.user_id for one in claimed] == ["bruno"]
    assert (other_cause, other_user) == (([], []), ([], []))
    assert released == (held, [])
    assert claim.occurrence.id == held[0]


async def test_what_lost_its_value_while_it_was_held_is_skipped_and_says_for_what_it_waited(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await owed(store, "ada", "bruno")
        await store.ledger.hold(CONSENT, user_id="ada")
        await store.ledger.hold(CONSENT, user_id="bruno")
        clock.instant += timedelta(days=2)
        released, stale = await store.ledger.release(CONSENT, user_id="ada")
        expired = await store.ledger.expire_held()
        again = await store.ledger.expire_held()
        rows = await store.history.list()

    assert (released, len(stale), len(expired), again) == ([], 1, 1, [])
    assert {row.status for row in rows} == {Status.SKIPPED}
    assert {row.reason for row in rows} == {f"held until it was no longer worth doing: {CONSENT}"}


async def test_only_what_waits_or_is_held_can_be_cancelled(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await owed(store, "ada", "bruno", "chiara", "dina")
        ids = {row.user_id: row.id for row in await store.history.list()}
        await store.ledger.hold(CONSENT, user_id="ada")
        [running] = await store.ledger.claim(Scope("digest", user_id="chiara"), Worker("w"), limit=1)
        [ended] = await store.ledger.claim(Scope("digest", user_id="dina"), Worker("w"), limit=1)
        await store.ledger.settle(ended, await store.ledger.start(ended), Settlement(Status.DONE, "done"))
        cancelled = await store.ledger.cancel(list(ids.values()), "not wanted")
        statuses = await by_user(store)
        await store.ledger.check(running)

    assert set(cancelled) == {ids["ada"], ids["bruno"]}
    assert statuses == {
        "ada": Status.CANCELLED,
        "bruno": Status.CANCELLED,
        "chiara": Status.RUNNING,
        "dina": Status.DONE,
    }
