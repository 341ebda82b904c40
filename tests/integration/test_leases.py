"""Named leases: one holder at a time, rising fences, on both databases."""

import asyncio
from datetime import timedelta

import pytest

from gda.errors import NotLeader
from gda.leadership import Leadership
from tests.builders import VirtualClock, a_store

TTL = timedelta(seconds=30)


async def test_of_many_who_ask_at_once_one_gets_the_lease(database_url):
    async with a_store(database_url) as store:
        found = await asyncio.gather(*(store.leases.acquire("sweep", f"w{number}", TTL) for number in range(8)))
    assert len([lease for lease in found if lease]) == 1


async def test_an_expired_lease_passes_on_under_a_higher_fence_and_its_old_holder_is_refused(database_url):
    clock = VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        old = await store.leases.acquire("sweep", "old", TTL)
        assert await store.leases.acquire("sweep", "new", TTL) is None
        clock.advance(seconds=31)
        new = await store.leases.acquire("sweep", "new", TTL)
        assert (new.fence, await store.leases.refresh(old, TTL), await store.leases.release(old)) == (2, None, False)
        assert await store.leases.release(new)
        assert (await store.leases.acquire("sweep", "third", TTL)).fence == 3


async def test_the_only_instance_takes_its_lease_back_at_once(database_url):
    async with a_store(database_url, clock=VirtualClock()) as store:
        crashed = await store.leases.acquire("sweep", "crashed", TTL)
        again = await store.leases.acquire("sweep", "again", TTL, seize=True)
        assert await store.leases.refresh(crashed, TTL) is None
    assert (again.owner, again.fence) == ("again", 2)


async def test_leadership_is_refreshed_tells_of_changes_and_passes_on(database_url):
    changes: list[tuple[str, bool]] = []
    short = timedelta(milliseconds=600)
    async with a_store(database_url) as store:
        won = asyncio.Event()

        def second_changed(leading: bool) -> None:
            changes.append(("second", leading))
            won.set()

        second = Leadership(store.leases, "sweep", "b", short, on_change=second_changed)
        async with Leadership(store.leases, "sweep", "a", short, on_change=lambda is_: changes.append(("a", is_))) as a:
            fence = (await store.leases.find("sweep")).expires_at
            await second.__aenter__()
            with pytest.raises(NotLeader, match="another instance holds the lease 'sweep'"):
                second.require()
            async with asyncio.timeout(10):
                while (await store.leases.find("sweep")).expires_at == fence:
                    await asyncio.sleep(0.05)
            a.require()
        async with asyncio.timeout(10):
            await won.wait()
        second.require()
        await second.__aexit__(None, None, None)
    assert changes == [("a", True), ("a", False), ("second", True), ("second", False)]


async def test_work_that_takes_longer_than_the_lease_keeps_it(database_url):
    short = timedelta(seconds=2)
    async with a_store(database_url) as store, Leadership(store.leases, "sweep", "a", short) as a:
        first = (await store.leases.find("sweep")).expires_at
        async with asyncio.timeout(30):
            while (await store.leases.find("sweep")).expires_at < first + 1.5 * short:
                assert await store.leases.acquire("sweep", "b", short) is None
                assert a.leading
                await asyncio.sleep(0.05)


async def test_leadership_that_cannot_be_refreshed_ends_by_itself(database_url):
    clock, lost = VirtualClock(), asyncio.Event()
    async with a_store(database_url, clock=clock) as store:
        lease = Leadership(
            store.leases, "sweep", "a", timedelta(milliseconds=300), on_change=lambda is_: is_ or lost.set()
        )
        async with lease as a:
            clock.advance(seconds=1)
            assert await store.leases.acquire("sweep", "b", timedelta(minutes=1))
            async with asyncio.timeout(10):
                await lost.wait()
            assert not a.leading


async def test_the_lease_of_one_run_is_forgotten_with_it(database_url):
    async with a_store(database_url) as store:
        await store.leases.acquire("run:1", "run:1", TTL)
        await store.leases.forget("run:1")
        assert await store.leases.find("run:1") is None
