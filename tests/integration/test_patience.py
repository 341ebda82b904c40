"""Who waits in its process for a slot that is due in a minute: a schedule's own wake-up, and no drain."""

import asyncio
from collections.abc import Sequence

import pytest

from gda.binding import opened
from gda.lifecycle import Claim, Status
from gda.report import Report
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Worker
from tests.builders import MORNING, Recorder, VirtualClock, a_job_type, a_store, a_user_with_digest

ADA = Scope("digest", user_id="ada")
DUE_IN_A_MINUTE = {"expression": "daily 06:01", "timezone": "UTC"}
"""The store's clock stands at 06:00 (MORNING)."""


async def woken(store: Store, scope: Scope, woken_by: str) -> Report:
    settings = Settings()
    async with opened(a_job_type(Recorder()), settings, store, middleware=()) as job:
        desk = Desk(store, job, settings)

        async def each(claims: Sequence[Claim]) -> list[Status | None]:
            return await settle_alone(desk, claims)

        return await wake(desk, WakeUp(scope, Worker("run"), Waker(woken_by)), each)


async def test_a_drain_does_not_wait_for_what_is_due_in_a_minute_and_the_schedules_own_wake_up_performs_it(
    database_url,
):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, **DUE_IN_A_MINUTE)
        async with asyncio.timeout(20):
            drained = await woken(store, Scope("digest"), "drain")
        [promised] = await store.history.list()
        clock.advance(minutes=1)
        served = await woken(store, ADA, "schedule")

    assert str(drained) == "nothing due"
    assert promised.status is Status.SCHEDULED
    assert str(served) == "1 done"


async def test_a_schedules_own_wake_up_that_comes_a_minute_early_waits(database_url):
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store, **DUE_IN_A_MINUTE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await woken(store, ADA, "schedule")
        [promised] = await store.history.list()

    assert promised.status is Status.SCHEDULED
