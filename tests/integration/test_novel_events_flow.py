"""The flow of calendar reports as Prefect runs it, and the deployment that a schedule of theirs becomes."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.kinds import load_kinds
from deployments.spec import user_deployments
from flows.novel_events import report_novel_events
from gda.settings import Settings
from gda.store import Wish
from tests.support.calendars import calendar_folder, ics, vevent
from tests.support.flow_runs import a_scene

pytestmark = pytest.mark.slow


async def test_a_user_is_told_once_and_the_second_run_says_what_settled_it(prefect_server, tmp_path, monkeypatch):
    soon = datetime.now(UTC) + timedelta(days=3)
    tea = vevent("tea", f"{soon:%Y%m%dT%H%M%SZ}", f"{soon + timedelta(hours=1):%Y%m%dT%H%M%SZ}", "Tea")
    folder = calendar_folder(tmp_path / "ada", calendar=ics(tea))
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=folder) as scene:
        await scene.house.store.schedules.set(Wish("ada", "novel-events", "daily 08:00"))
        first = await report_novel_events(user="ada", return_state=True)
        second = await report_novel_events(user="ada", return_state=True)
        [occurrence] = await scene.house.store.history.list(kind="novel-events")
        deployments = user_deployments(await scene.house.store.schedules.all(), load_kinds(), Settings())
        mails = scene.house.accepted("ada")

    assert (first.name, first.message) == ("Completed", "1 done")
    assert second.message.startswith(f"slot {occurrence.slot} was already settled by occurrence {occurrence.id}")
    assert occurrence.reason == "1 change"
    assert len(mails) == 1
    assert b"Tea" in mails[0].content.raw
    [ours] = [each for each in deployments if each.flow_name == "novel-events"]
    assert (ours.name, ours.entrypoint) == ("ada", "flows.novel_events.report_novel_events")
    assert ours.parameters == {"user": "ada"}
