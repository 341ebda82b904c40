"""A wake-up of any kind without Prefect, as a flow run serves it."""

from collections.abc import Sequence

from gda.binding import opened
from gda.job import JobType
from gda.lifecycle import Claim, Status
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Worker

SETTINGS = Settings(early_seconds=0)


async def woken(
    store: Store, job_type: JobType, *, user: str | None = None, by_hand: ByHand | None = None, owner: str = "test"
) -> str:
    """Serve a wake-up of the kind, for a user where one is given; says what it reports."""
    async with opened(job_type, SETTINGS, store, middleware=()) as ready:
        desk = Desk(store, ready, SETTINGS)

        async def each(claims: Sequence[Claim]) -> list[Status | None]:
            return await settle_alone(desk, claims)

        call = WakeUp(Scope(job_type.kind, user_id=user), Worker(owner), Waker("drain"), by_hand)
        return str(await wake(desk, call, each))
