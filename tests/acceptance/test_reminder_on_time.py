"""A reminder for nine o'clock is there at nine, once: Prefect's scheduler, workers elsewhere, real sockets."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId, FlowRunFilterExpectedStartTime
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Pending, Running

from deployments.pools import SYSTEM_AT_ONCE
from gda.store import NewReminder, Preference
from gda.todos import NewTodo, due_on
from gda.vault import Vault
from tests.support.prefect_server import running_prefect_server, running_worker
from tests.support.town import Town, a_town, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROMISED = timedelta(seconds=75)
"""One pass of the dispatcher, which comes each minute, and a process's start."""


async def reminded_at(town: Town, user: str) -> datetime:
    """Let the user have a to-do for a full minute soon, and be reminded then by chat and by mail."""
    room = town.google.http.replace("http://", "json://") + f"/chat/{user}"
    sealed = Vault.from_settings(town.settings).seal(user, room)
    await town.store.notify_preferences.put(Preference(user, ("chat", "mail"), chat_address=sealed))
    local = (datetime.now(UTC) + timedelta(seconds=90)).replace(second=0, microsecond=0)
    due = due_on(f"{local:%Y-%m-%dT%H:%M}", "UTC")
    await town.store.todos.add(NewTodo(user, "Nine o'clock", due=due, id="nine"))
    await town.store.reminders.add(NewReminder("nine", at=due.at))
    return due.at


async def passed(town: Town, *, after: datetime) -> FlowRun | None:
    """A dispatcher's run due after that instant, when it has ended."""
    deployment = await town.client.read_deployment_by_name("reminder/drain")
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=after),  # type: ignore[arg-type]
    )
    runs = await town.client.read_flow_runs(flow_run_filter=wanted)
    return next((run for run in runs if run.state and run.state.is_completed()), None)


async def lose_one(town: Town) -> None:
    """Let a run of the dispatcher's schedule stand there as running, though nobody performs it."""
    deployment = await town.client.read_deployment_by_name("reminder/drain")

    async def scheduled() -> list[FlowRun]:
        wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]))
        return await town.client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC)

    first = (await eventually(scheduled, "the dispatcher's next run is planned"))[0]
    for state in (Pending(), Running()):
        await town.client.set_flow_run_state(first.id, state, force=True)


async def test_a_reminder_reaches_chat_and_mailbox_within_75_seconds_of_its_time_and_once(tmp_path: Path):
    async with (
        running_prefect_server(tmp_path / "prefect") as server,
        a_town(server, tmp_path, "ada", reminders_enabled=True) as town,
        running_worker(server, "gda", home=tmp_path / "elsewhere"),
    ):
        at = await reminded_at(town, "ada")
        sent = await eventually(lambda: town.store.reminders.list(status="sent"), "the reminder is sent")
        later = await eventually(lambda: passed(town, after=at + timedelta(seconds=30)), "a later pass has ended")
        chat, mails = town.google.sandbox.notices.chat, town.accepted("ada")

    assert [one.channels for one in sent] == ["chat,mail"]
    assert later.state.message == "nothing due"
    assert [(one.room, one.title) for one in chat] == [("ada", "Nine o'clock")]
    assert [one.subject for one in mails] == ["Nine o'clock"]
    heard = [datetime.fromtimestamp(chat[0].time_ms / 1000, UTC), mails[0].time]
    assert all(at <= one <= at + PROMISED for one in heard), (at, heard)


async def test_a_dispatcher_whose_worker_went_away_delays_no_reminder_beyond_those_75_seconds(tmp_path: Path):
    async with (
        running_prefect_server(tmp_path / "prefect") as server,
        a_town(server, tmp_path, "ada", reminders_enabled=True, sweep_enabled=True) as town,
    ):
        await lose_one(town)
        async with (
            running_worker(server, "gda", home=tmp_path / "elsewhere"),
            running_worker(server, "gda-system", home=tmp_path / "sweeper", limit=SYSTEM_AT_ONCE),
        ):
            at = await reminded_at(town, "ada")
            await eventually(lambda: town.store.reminders.list(status="sent"), "the reminder is sent")
        [mail] = town.accepted("ada")

    assert at <= mail.time <= at + PROMISED, (at, mail.time)
