"""A flow run whose worker went away: Prefect leaves it RUNNING for good, so the ledger's side closes it."""

from uuid import UUID

import pytest
from prefect import flow
from prefect.client.schemas.objects import StateType
from prefect.states import Running

from gda.glue.runs import close_abandoned_runs
from gda.store import ByHand, Scope, Waker, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

pytestmark = pytest.mark.slow
ADA = Scope("digest", user_id="ada")


@flow(name="abandoned")
async def abandoned() -> None:
    """Never runs here: the test only needs its runs."""


async def test_a_run_is_closed_in_prefect_once_its_leases_have_expired_and_not_before(prefect_server, tmp_path):
    clock = VirtualClock(MORNING)
    async with (
        prefect_server.client() as client,
        a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store,
    ):
        run = await client.create_flow_run(abandoned, state=Running())
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        await store.ledger.claim(ADA, Worker("gone", str(run.id)), limit=1)
        while_held = await close_abandoned_runs(store)
        clock.advance(seconds=61)
        closed = await close_abandoned_runs(store)
        after = await client.read_flow_run(UUID(closed[0]))

    assert while_held == []
    assert closed == [str(run.id)]
    assert after.state is not None
    assert after.state.type == StateType.CRASHED
