"""Pause and cancel in Prefect are people's commands: real deployments and runs, on both databases."""

from datetime import timedelta

import pytest
from prefect.states import Cancelled

from gda.glue.commands import heed_before
from gda.lifecycle import Status
from gda.runner import WakeUp
from gda.settings import Settings
from gda.store import Scope, Waker, Worker
from tests.builders import a_user_with_digest
from tests.support.deployed import Deployed, deployed

pytestmark = pytest.mark.slow


async def missed(place: Deployed) -> None:
    """Let the next slot be due and unserved for longer than the grace."""
    due = (await place.store.schedules.all())[0].next_due_at
    assert due is not None
    place.clock.instant = due + timedelta(minutes=3)


@pytest.mark.parametrize("whole", [True, False], ids=["deployment", "schedule"])
async def test_a_slot_is_skipped_while_paused_in_prefect_and_resuming_promises_the_next_but_not_the_past(
    prefect_server, database_url, whole
):
    async with deployed(prefect_server, database_url) as place:
        await a_user_with_digest(place.store)
        ada = await place.applied()
        await (place.client.pause_deployment(ada.id) if whole else place.switched(ada, active=False))
        await missed(place)
        paused = await place.swept()
        marked, again = await place.schedule(), await place.planned()
        await (place.client.resume_deployment(ada.id) if whole else place.switched(ada, active=True))
        place.clock.advance(minutes=1)
        resumed = await place.swept()
        await missed(place)
        after = await place.swept()
        rows = [(row.status, row.reason) for row in await place.rows()]
        mark = (await place.schedule()).paused_in_prefect_at

    assert (paused.promised, paused.skipped, marked.paused_in_prefect_at is not None) == (0, 1, True)
    assert (again.changes, len(again.paused_by_hand)) == (0, 1)
    assert (resumed.promised, resumed.skipped, after.promised, mark) == (0, 0, 1, None)
    assert rows == [(Status.SCHEDULED, ""), (Status.SKIPPED, "paused in Prefect")]
    assert (paused.failures, resumed.failures, after.failures) == ([], [], [])


async def test_a_drain_asks_too_before_it_promises(prefect_server, database_url):
    async with deployed(prefect_server, database_url) as place:
        await a_user_with_digest(place.store, "ada")
        ada = await place.applied()
        await place.switched(ada, active=False)
        await missed(place)
        drain = WakeUp(Scope("digest"), Worker("w"), Waker("drain"))
        skipped = await heed_before(drain, place.store, Settings())
        promised = await place.store.ledger.promise(Scope("digest"), Waker("drain"))
        [row] = await place.rows()

    assert (skipped, promised.scheduled, row.reason) == (1, (), "paused in Prefect")


async def test_the_slot_of_a_cancelled_run_is_skipped_and_the_next_one_is_not(prefect_server, database_url):
    async with deployed(prefect_server, database_url) as place:
        await a_user_with_digest(place.store)
        run = await place.coming(await place.applied())
        await place.client.set_flow_run_state(run.id, Cancelled())
        place.clock.instant = run.expected_start_time + timedelta(minutes=3)
        first, twice = await place.swept(), await place.swept()
        await missed(place)
        following = await place.swept()
        rows = [(row.status, row.reason, row.due_at) for row in await place.rows()]

    assert (first.promised, first.skipped, twice.skipped, following.promised) == (0, 1, 0, 1)
    assert rows[0][:2] == (Status.SCHEDULED, "")
    assert rows[1] == (Status.SKIPPED, "cancelled in Prefect", run.expected_start_time)


async def test_what_a_cancelled_run_has_handed_back_is_skipped_and_no_other(prefect_server, database_url):
    async with deployed(prefect_server, database_url) as place:
        await a_user_with_digest(place.store)
        run = await place.coming(await place.applied())
        await a_user_with_digest(place.store, "bruno")
        place.clock.instant = (await place.store.schedules.all())[0].next_due_at
        worker = Worker("w", str(run.id))
        await place.store.ledger.promise(Scope("digest"), Waker("drain"))
        [claim] = await place.store.ledger.claim(Scope("digest", user_id="ada"), worker, limit=1)
        await place.store.ledger.start(claim)
        await place.client.set_flow_run_state(run.id, Cancelled())
        await place.store.ledger.hand_back(worker)
        found = await place.swept()
        rows = {row.user_id: (row.status, row.reason) for row in await place.rows()}

    assert found.skipped == 1
    assert rows == {"ada": (Status.SKIPPED, "cancelled in Prefect"), "bruno": (Status.SCHEDULED, "")}


async def test_pausing_a_cohort_pauses_its_members_until_it_is_resumed(prefect_server, database_url):
    async with deployed(prefect_server, database_url, layout="cohort") as place:
        for user in ("ada", "bruno"):
            await a_user_with_digest(place.store, user)
        shared = await place.applied()
        await place.client.pause_deployment(shared.id)
        await missed(place)
        paused = await place.swept()
        await place.client.resume_deployment(shared.id)
        place.clock.advance(minutes=1)
        resumed = await place.swept()
        await missed(place)
        after = await place.swept()

    assert (paused.promised, paused.skipped) == (0, 2)
    assert (resumed.promised, resumed.skipped, after.promised) == (0, 0, 2)


async def test_cancelling_a_cohorts_run_skips_the_slots_of_its_members_and_of_nobody_else(prefect_server, database_url):
    async with deployed(prefect_server, database_url, layout="cohort") as place:
        for user in ("ada", "bruno"):
            await a_user_with_digest(place.store, user)
        run = await place.coming(await place.applied())
        await a_user_with_digest(place.store, "chiara", expression="daily 07:29")
        await place.client.set_flow_run_state(run.id, Cancelled())
        place.clock.instant = run.expected_start_time + timedelta(minutes=3)
        found = await place.swept()
        rows = {row.user_id: (row.status, row.reason) for row in await place.rows()}

    assert (found.skipped, found.promised) == (2, 1)
    assert rows["ada"] == rows["bruno"] == (Status.SKIPPED, "cancelled in Prefect")
    assert rows["chiara"] == (Status.SCHEDULED, "")


async def test_nothing_is_promised_while_prefect_cannot_be_asked(prefect_server, tmp_path):
    async with deployed(prefect_server, f"sqlite+aiosqlite:///{tmp_path}/gda.db") as place:
        await a_user_with_digest(place.store)
        await missed(place)
        async with prefect_server.client() as closed:
            pass
        found = await Deployed(closed, place.store, place.clock).swept()
        rows = await place.rows()

    assert rows == []
    assert [failure.partition(":")[0] for failure in found.failures] == ["close runs", "heed"]
