"""The inbox of what gave up, on SQLite and PostgreSQL alike: found, replayed through dedup, discarded, told of once."""

import asyncio
from datetime import timedelta

from gda.errors import Permanent
from gda.lifecycle import DeadReason, Failure, Settlement, Status
from gda.outcome import Done
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Which, Worker
from tests.builders import MORNING, Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

ALL = Which()
DIGESTS = Scope("digest")


async def dead(
    store: Store, *users: str, why: DeadReason = DeadReason.PERMANENT, place: str = "job.py:7 in go"
) -> None:
    """A digest of each user that gave up."""
    for user in users:
        await a_user_with_digest(store, user, expression="weekly mon 07:30")
        await store.ledger.promise_by_hand(Scope("digest", user_id=user), ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(Scope("digest", user_id=user), Worker("w", "run-1"), limit=1)
        number = await store.ledger.start(claim)
        failure = Failure("Permanent", "no such mailbox", place)
        ended = Settlement(
            Status.DEAD, "failed", burns=True, reason="no such mailbox", dead_reason=why, failure=failure
        )
        await store.ledger.settle(claim, number, ended)


async def woken(store: Store, body: Recorder) -> str:
    desk = Desk(store, a_job_type(body, in_run_retries=0), Settings(early_seconds=0))
    call = WakeUp(DIGESTS, Worker("run-2"), Waker("drain"))
    return str(await wake(desk, call, lambda claim: settle_alone(desk, claim)))


async def test_a_letter_tells_where_it_came_from_and_why(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await dead(store, "ada")
        [letter] = await store.dead_letters.find(ALL)

    assert (letter.kind, letter.user_id, letter.slot) == ("digest", "ada", "2026-03-09T07:30")
    assert (letter.reason, letter.last_error, letter.error_class) == ("permanent", "no such mailbox", "Permanent")
    assert (letter.flow_run_id, letter.created_at, letter.closed_at, letter.replays) == ("run-1", MORNING, None, [])
    assert len(letter.fingerprint) == 16


async def test_letters_are_narrowed_and_grouped_by_cause(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await dead(store, "ada", "bruno")
        await dead(store, "chiara", place="mail.py:9 in read")
        await dead(store, "dina", why=DeadReason.POISON)
        groups = await store.dead_letters.groups(ALL)
        of_ada = await store.dead_letters.find(Which(user_id="ada"))
        poison = await store.dead_letters.find(Which(reason="poison"))
        same = await store.dead_letters.find(Which(fingerprint=groups[0].fingerprint))

    assert [group.count for group in groups] == [2, 1, 1]
    assert [letter.user_id for letter in of_ada] == ["ada"]
    assert [letter.user_id for letter in poison] == ["dina"]
    assert {letter.user_id for letter in same} == {"ada", "bruno"}


async def test_a_replay_is_a_new_life_with_attempts_numbered_on_and_happens_once(database_url):
    body = Recorder([Done("3 messages")])
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await dead(store, "ada")
        first = await store.dead_letters.replay(ALL, by="ops")
        again = await store.dead_letters.replay(ALL, by="ops")
        report = await woken(store, body)
        after = await store.dead_letters.replay(Which(ids=(first[0].occurrence_id,), closed=True), by="ops")
        [letter] = await store.dead_letters.find(Which(closed=True))
        story = await store.history.story(letter.occurrence_id)
        second_run = await woken(store, body)

    assert (len(first), again, after) == (1, [], [])
    assert (report, second_run) == ("1 done", "nothing due")
    assert [attempt.number for attempt in story.attempts] == [1, 2]
    assert (story.occurrence.status, story.occurrence.burnt) == (Status.DONE, 0)
    assert (letter.closed_as, letter.replays) == (
        "replayed",
        [{"at": MORNING.isoformat(), "by": "ops", "as": "replayed"}],
    )


async def test_what_dies_again_after_a_replay_lies_open_again_and_keeps_its_history(database_url):
    body = Recorder([Permanent("still no mailbox")])
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await dead(store, "ada")
        await store.dead_letters.unannounced()
        await store.dead_letters.replay(ALL, by="ops")
        await woken(store, body)
        [letter] = await store.dead_letters.find(ALL)
        told_again = await store.dead_letters.unannounced()

    assert (letter.last_error, letter.closed_at) == ("still no mailbox", None)
    assert [entry["by"] for entry in letter.replays] == ["ops"]
    assert [one.occurrence_id for one in told_again] == [letter.occurrence_id]


async def test_a_rate_spreads_a_replay_and_a_limit_takes_the_oldest(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        for user in ("ada", "bruno", "chiara", "dina"):
            await dead(store, user)
            clock.advance(seconds=1)
        now = clock.instant
        replayed = await store.dead_letters.replay(ALL, by="ops", limit=3, per_minute=2)
        rows = {row.user_id: row for row in await store.history.list()}

    assert [letter.user_id for letter in replayed] == ["ada", "bruno", "chiara"]
    assert [rows[user].ready_at - now for user in ("ada", "bruno", "chiara")] == [
        timedelta(0),
        timedelta(seconds=30),
        timedelta(seconds=60),
    ]
    assert rows["dina"].status is Status.DEAD


async def test_a_payload_can_be_mended_on_the_way(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await dead(store, "ada")
        [letter] = await store.dead_letters.replay(ALL, by="ops", payload={"invoice": 7})
        occurrence = await store.ledger.get(letter.occurrence_id)

    assert occurrence.payload == {"invoice": 7}


async def test_a_discarded_letter_is_closed_for_good_and_purged_later(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await dead(store, "ada", "bruno")
        [discarded] = await store.dead_letters.discard(Which(user_id="ada"), by="ops")
        replayed = await store.dead_letters.replay(Which(user_id="ada", closed=True), by="ops")
        occurrence = await store.ledger.get(discarded.occurrence_id)
        clock.advance(days=8)
        purged = await store.dead_letters.purge(clock.instant - timedelta(days=7))
        left = await store.dead_letters.find(Which(closed=True))

    assert (replayed, occurrence.status) == ([], Status.DISCARDED)
    assert purged == 1
    assert [letter.user_id for letter in left] == ["bruno"]


async def test_two_who_replay_and_two_who_tell_at_once_share_the_letters(database_url):
    users = [f"u{number}" for number in range(12)]
    async with a_store(database_url) as store:
        await dead(store, *users)
        told = await asyncio.gather(*(store.dead_letters.unannounced() for _ in range(4)))
        replays = await asyncio.gather(*(store.dead_letters.replay(ALL, by=f"p{n}") for n in range(4)))

    assert sorted(letter.user_id or "" for part in told for letter in part) == sorted(users)
    assert sorted(letter.user_id or "" for part in replays for letter in part) == sorted(users)
