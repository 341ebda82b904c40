"""A worker in another home and folder, with nothing but the address of the Prefect API, does all that GDA promises."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort

from gda.lifecycle import Status
from gda.store import ByHand, Scope, Waker, Wish, Worker
from tests.builders import VirtualClock, a_store
from tests.support.prefect_server import PrefectServer, prefect_server_process, running_worker
from tests.support.sandbox import plain_mail
from tests.support.town import Town, a_town, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server_process(tmp_path_factory.mktemp("prefect")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Three users and one worker elsewhere, for all tests of this file."""
    here, elsewhere = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("elsewhere")
    mail = here / "mail"
    mail.mkdir()
    (mail / "1.eml").write_bytes(plain_mail("The only one"))
    (elsewhere / "cwd").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GDA_HOME", raising=False)
        async with (
            a_town(server, here, "ada", "bea", "cleo", mail=mail) as town,
            running_worker(server, "gda", home=elsewhere / "home", cwd=elsewhere / "cwd"),
        ):
            yield town
    assert_nothing_of_gda_lies_in(elsewhere)


def assert_nothing_of_gda_lies_in(folder: Path) -> None:
    """The worker needed no state of its own: neither a database nor keys were made where it stands."""
    assert [file for file in folder.rglob("*") if file.name in ("gda.db", "keys", ".gda")] == []


async def test_a_quick_run_delivers_the_latest_slot_once_and_an_extra_one_when_asked(town: Town):
    first = await town.ended(await town.triggered("ada"))
    story = await town.story("ada")
    second = await town.ended(await town.triggered("ada"))
    mails = len(town.accepted("ada"))
    extra = await town.ended(await town.triggered("ada", extra=True))

    slot, identity = story.occurrence.slot, story.occurrence.id
    assert (first.state.name, first.state.message, first.name) == ("Completed", "1 done", f"ada {slot}")
    assert (second.state.name, second.name) == ("Completed", f"ada {slot}")
    assert second.state.message.startswith(f"slot {slot} was already settled by occurrence {identity}, woken by hand")
    assert mails == 1
    assert (extra.state.message, extra.name) == ("1 done", "ada extra")
    assert len(town.accepted("ada")) == 2


async def became_due(town: Town, user: str, *, hours_ago: int) -> str:
    """Let the user have had, since two days ago, a daily schedule whose latest slot was ``hours_ago``."""
    now = datetime.now(UTC)
    due = now - timedelta(hours=hours_ago)
    async with a_store(town.settings.database, clock=VirtualClock(now - timedelta(hours=hours_ago + 1))) as past:
        await past.schedules.set(Wish(user, "digest", f"daily {due:%H:%M}", timezone="UTC"))
    return f"{due:%Y-%m-%dT%H:%M}"


async def woken_twice_by_the_scheduler(town: Town, user: str) -> list[FlowRun]:
    """Let Prefect's scheduler wake the user's deployment every half a minute, until two of its runs have ended.

    A run that comes before the last has ended is held back for half a minute, so more often is slower where runs are.
    """
    deployment = await town.client.read_deployment_by_name(f"digest/{user}")
    often = IntervalSchedule(interval=timedelta(seconds=30))
    [made] = await town.client.create_deployment_schedules(deployment.id, [(often, True)])
    ended = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED, StateType.FAILED])),
    )

    async def two() -> list[FlowRun] | None:
        runs = await town.client.read_flow_runs(flow_run_filter=ended, sort=FlowRunSort.START_TIME_ASC)
        return runs[:2] if len(runs) >= 2 else None

    try:
        return await eventually(two, f"the scheduler's first two runs for {user} end")
    finally:
        await town.client.delete_deployment_schedule(deployment.id, made.id)


async def test_a_scheduled_wake_up_performs_what_is_due_and_otherwise_says_nothing_due(town: Town):
    slot = await became_due(town, "bea", hours_ago=2)
    first, second = await woken_twice_by_the_scheduler(town, "bea")
    story = await town.story("bea")

    assert first.auto_scheduled
    assert second.auto_scheduled
    assert (first.state.message, first.name) == ("1 done", f"bea {slot}")
    assert (second.state.name, second.name) == ("Completed", "bea")
    assert second.state.message.startswith(f"nothing due; slot {slot} was already settled by occurrence")
    assert (story.occurrence.slot, story.occurrence.woken_by) == (slot, "schedule")
    assert len(town.accepted("bea")) == 1


async def test_the_drain_takes_over_what_a_worker_left_behind_when_its_lease_has_expired(town: Town):
    cleo = Scope("digest", user_id="cleo")
    async with a_store(town.settings.database, lease_seconds=2, lease_refresh_seconds=1) as gone:
        await gone.ledger.promise_by_hand(cleo, ByHand(), Waker("hand"))
        [claim] = await gone.ledger.claim(cleo, Worker("gone", str(uuid4())), limit=1)
        await gone.ledger.start(claim)
    await eventually(lambda: town.store.ledger.abandoned_runs(), "the lease expires")
    drain = await town.client.read_deployment_by_name("digest/drain")

    run = await town.ended((await town.client.create_flow_run_from_deployment(drain.id)).id)
    story = await town.story("cleo")

    assert (run.state.message, run.name) == ("1 done", "drain")
    assert story.occurrence.status is Status.DONE
    assert [(attempt.number, attempt.outcome) for attempt in story.attempts] == [(1, "lost"), (2, "done")]
    assert story.attempts[1].flow_run_id == str(run.id)
    assert len(town.accepted("cleo")) == 1


async def test_every_deployment_shows_its_cron_and_timezone(town: Town):
    shown = {
        (deployment.entrypoint or "", deployment.name): [
            (each.schedule.cron, each.schedule.timezone) for each in deployment.schedules
        ]
        for deployment in await town.client.read_deployments()
    }

    digest, daily = "flows.digest.deliver_digests", [("30 7 * * *", "Europe/London")]
    assert shown == {
        (digest, "ada"): daily,
        (digest, "bea"): daily,
        (digest, "cleo"): daily,
        (digest, "drain"): [("*/5 * * * *", "UTC")],
        ("flows.run_job.run_job", "drain"): [],
        ("flows.dead_letters.replay_dead_letters", "replay"): [],
        ("flows.recurring_tasks.process_recurring_tasks", "scan"): [("*/5 * * * *", "UTC")],
        ("flows.overdue_scan.scan_overdue", "scan"): [("*/15 * * * *", "UTC")],
        ("flows.reminders.send_reminders", "drain"): [("* * * * *", "UTC")],
        ("flows.token_refresh.refresh_tokens", "drain"): [("*/10 * * * *", "UTC")],
        ("flows.sweep.sweep_once", "sweep"): [("* * * * *", "UTC")],
        ("flows.retention.prune_old_rows", "retention"): [("17 3 * * *", "UTC")],
        ("deployments.nightly.apply_at_night", "nightly"): [("37 3 * * *", "UTC")],
    }
