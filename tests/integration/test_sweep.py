"""The sweep: what it promises, recovers and asks drains for, on both databases."""

from datetime import timedelta

import pytest

from gda.errors import NotLeader
from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Worker
from gda.sweep import Swept, sweep
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

DUE = MORNING + timedelta(minutes=90)
"""07:30 in London on the builders' morning."""


async def swept(store: Store, asked: list[tuple[str, str]] | None = None) -> Swept:
    async def ensure_drain(kind: str, queue: str) -> bool:
        (asked if asked is not None else []).append((kind, queue))
        return True

    async def close_runs(_: Store) -> int:
        return 0

    return await sweep(store, Settings(), Waker("sweep"), ensure_drain=ensure_drain, close_runs=close_runs)


async def test_a_missed_slot_is_promised_after_the_grace_and_once(database_url):
    clock, asked = VirtualClock(DUE + timedelta(seconds=119)), list[tuple[str, str]]()
    async with a_store(database_url, clock=VirtualClock(MORNING)) as before:
        await a_user_with_digest(before)
    async with a_store(database_url, clock=clock) as store:
        early = await swept(store, asked)
        clock.advance(seconds=2)
        late = await swept(store, asked)
        again = await swept(store)
        rows = await store.history.list()
    assert (early.promised, late.promised, again.promised) == (0, 1, 0)
    assert [(row.status, row.woken_by) for row in rows] == [(Status.SCHEDULED, "sweep")]
    assert asked == [("digest", "default")]


async def test_a_spread_schedule_is_missed_only_when_its_spread_has_passed_too(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, "ada", spread=timedelta(minutes=10))
        await a_user_with_digest(store, "bruno")
        clock.instant = DUE + timedelta(minutes=3)
        first = await swept(store)
        owners = {row.user_id for row in await store.history.list()}
        clock.instant = DUE + timedelta(minutes=13)
        second = await swept(store)
    assert (first.promised, owners, second.promised) == (1, {"bruno"}, 1)


async def test_what_a_dead_worker_left_is_recovered_and_gets_a_drain(database_url):
    clock, asked = VirtualClock(MORNING), list[tuple[str, str]]()
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(Scope("digest", user_id="ada"), ByHand(), Waker("hand"))
        await store.ledger.claim(Scope("digest"), Worker("gone"), limit=1)
        held = await swept(store, asked)
        clock.advance(seconds=61)
        freed = await swept(store, asked)
    assert (held.recovered, freed.recovered, asked) == (0, 1, [("digest", "default")])


async def test_a_step_that_fails_is_counted_and_the_others_run(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        clock.instant = DUE + timedelta(minutes=3)

        async def broken(*_: object) -> bool:
            raise OSError("away")

        found = await sweep(store, Settings(), Waker("sweep"), ensure_drain=broken, close_runs=broken)
    assert found.promised == 1
    assert found.failures == ["close runs: OSError", "drain digest: OSError"]


async def test_ten_thousand_schedules_and_an_empty_ledger_send_nothing(database_url):
    from gda.store import Wish

    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        wishes = [Wish(None, "digest", "daily 07:30", name=f"n{number}") for number in range(10_000)]
        await store.schedules.add_many(wishes, {})
        found, asked = await swept(store, there := []), there
    assert (found.evaluated, found.promised, asked) == (0, 0, [])


async def test_whoever_loses_the_lease_stops_before_the_next_step(database_url):
    clock, asked, steps = VirtualClock(MORNING), list[str](), list[bool]()
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        clock.instant = DUE + timedelta(minutes=3)

        async def close_runs(_: Store) -> int:
            steps.append(True)
            return 1

        async def ensure_drain(kind: str, queue: str) -> bool:
            asked.append(kind)
            return True

        with pytest.raises(NotLeader, match=r"stopped before 'recover'.*runs closed 1"):
            await sweep(
                store,
                Settings(),
                Waker("sweep"),
                ensure_drain=ensure_drain,
                close_runs=close_runs,
                leading=lambda: not steps,
            )
        rows = await store.history.list()
    assert (rows, asked) == ([], [])


async def test_nothing_is_promised_where_people_s_commands_could_not_be_heard(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        clock.instant = DUE + timedelta(minutes=3)

        async def nothing(*_: object) -> int:
            return 0

        async def deaf(_: Store) -> int:
            raise OSError("away")

        found = await sweep(store, Settings(), Waker("sweep"), ensure_drain=nothing, close_runs=nothing, heed=deaf)
    assert (found.promised, found.failures) == (0, ["heed: OSError"])
