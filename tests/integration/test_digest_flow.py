"""The flow called as a Python function: real Prefect server, real HTTP, real SMTP; what a person reads in the UI."""

import re
from pathlib import Path

import pytest

from flows.digest import deliver_digest, deliver_digests
from gda.lifecycle import Status
from gda.store import Wish
from tests.support.flow_runs import a_scene
from tests.support.sandbox import plain_mail

pytestmark = pytest.mark.slow


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "1.eml").write_bytes(plain_mail("The only one"))
    return folder


async def test_it_delivers_once_and_says_the_second_time_what_settled_it(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        first = await scene.ran(user="ada")
        second = await scene.ran(user="ada", tasks=0)
        [occurrence] = await scene.house.store.history.list()
        story = await scene.house.store.history.story(occurrence.id)
        mails = scene.house.accepted("ada")

    assert (first.state.name, first.state.message) == ("Completed", "1 done")
    assert first.run.name == f"ada {occurrence.slot}"
    assert first.task_states() == {f"ada {occurrence.slot}": "Completed"}
    assert first.tasks[occurrence.label].state.message == "1 messages"
    assert second.state.is_completed()
    assert second.state.message.startswith(f"slot {occurrence.slot} was already settled by occurrence {occurrence.id}")
    assert second.run.name == first.run.name
    assert story.attempts[0].flow_run_id == str(first.run.id)
    assert len(mails) == 1


async def test_an_extra_one_is_delivered_beside_the_slot(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        await scene.ran(user="ada")
        extra = await scene.ran(user="ada", extra=True)
        mails = scene.house.accepted("ada")

    assert (extra.state.message, extra.run.name) == ("1 done", "ada extra")
    assert len({delivered.occurrence for delivered in mails}) == len(mails) == 2


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"user": "nobody"}, "there is no schedule for digest of nobody"),
        ({"user": "ada", "at": "2026-03-08T08:00"}, "2026-03-08T08:00 is not a slot of 'daily 07:30'"),
        ({"user": "ada", "at": "this morning"}, "'this morning'"),
    ],
)
async def test_what_cannot_be_meant_is_refused_in_one_sentence(
    prefect_server, tmp_path, monkeypatch, mail, parameters, says
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        refused = await scene.ran(tasks=0, **parameters)
        rows = await scene.house.store.history.list()

    assert (refused.state.is_failed(), refused.state.name) == (True, "Refused")
    assert refused.run.state.name == "Refused"
    assert says in refused.state.message
    assert "Traceback" not in refused.state.message
    assert "\n" not in refused.state.message
    assert rows == []


async def test_a_batch_is_one_flow_run_with_a_task_run_named_after_user_and_slot(
    prefect_server, tmp_path, monkeypatch, mail
):
    users = ("ada", "bruno", "chiara")
    async with a_scene(prefect_server, tmp_path, monkeypatch, *users, mail=mail) as scene:
        await scene.owed(*users)
        scene.house.fault("smtp_reject", code=550, user="bruno@example.org")
        batch = await scene.ran(tasks=3)
        rows = await scene.house.store.history.list()
        mails = {user: len(scene.house.accepted(user)) for user in users}

    endings = {task.name.split()[0]: task.state.name for task in batch.tasks.values()}
    assert all(re.fullmatch(r"(ada|bruno|chiara) \d{4}-\d\d-\d\dT07:30", name) for name in batch.tasks)
    assert endings == {"ada": "Completed", "bruno": "Dead", "chiara": "Completed"}
    assert batch.run.name == "drain"
    assert (batch.state.is_failed(), batch.state.message) == (True, "1 dead; 2 done")
    assert {row.user_id: row.status for row in rows} == {
        "ada": Status.DONE,
        "bruno": Status.DEAD,
        "chiara": Status.DONE,
    }
    assert mails == {"ada": 1, "bruno": 0, "chiara": 1}


async def test_in_a_crowd_digests_share_task_runs_and_each_is_tried_and_settled_for_itself(
    prefect_server, tmp_path, monkeypatch, mail
):
    users = ("ada", "bruno", "chiara")
    async with a_scene(prefect_server, tmp_path, monkeypatch, *users, mail=mail, run_retries=2, crowd=2) as scene:
        await scene.owed(*users)
        scene.house.fault("smtp_reject", code=550, user="bruno@example.org")
        scene.house.fault("smtp_reject", code=451, user="chiara@example.org", times=1)
        crowd = await scene.ran()
        rows = await scene.house.store.history.list()
        stories = {row.user_id: await scene.house.store.history.story(row.id) for row in rows}
        mails = {user: len(scene.house.accepted(user)) for user in users}

    [task] = crowd.tasks.values()
    assert (task.name, task.run_count) == ("digest x 3", 2)
    assert (crowd.state.message, task.state.message) == ("1 dead; 2 done", "2 completed, 1 dead")
    assert {user: [attempt.outcome for attempt in story.attempts] for user, story in stories.items()} == {
        "ada": ["done"],
        "bruno": ["failed"],
        "chiara": ["failed", "done"],
    }
    assert mails == {"ada": 1, "bruno": 0, "chiara": 1}


async def test_what_is_no_crowd_keeps_a_task_run_each(prefect_server, tmp_path, monkeypatch, mail):
    users = ("ada", "bruno")
    async with a_scene(prefect_server, tmp_path, monkeypatch, *users, mail=mail, crowd=2) as scene:
        await scene.owed(*users)
        few = await scene.ran(tasks=2)
    assert {name.split()[0] for name in few.tasks} == {"ada", "bruno"}


async def test_a_passing_failure_is_tried_again_by_prefect_inside_the_run(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail, run_retries=2) as scene:
        scene.house.fault("smtp_reject", code=451, times=1)
        ran = await scene.ran(user="ada")
        [occurrence] = await scene.house.store.history.list()
        story = await scene.house.store.history.story(occurrence.id)
        mails = scene.house.accepted("ada")

    [task] = ran.tasks.values()
    assert (ran.state.message, task.state.name, task.run_count) == ("1 done", "Completed", 2)
    assert [(attempt.outcome, attempt.flow_run_id) for attempt in story.attempts] == [
        ("failed", str(ran.run.id)),
        ("done", str(ran.run.id)),
    ]
    assert (occurrence.fence, occurrence.burnt) == (1, 1)
    assert len(mails) == 1


async def test_a_failure_for_good_is_not_tried_again(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail, run_retries=2) as scene:
        scene.house.fault("smtp_reject", code=550)
        ran = await scene.ran(user="ada")
        [occurrence] = await scene.house.store.history.list()
        story = await scene.house.store.history.story(occurrence.id)

    [task] = ran.tasks.values()
    assert (task.state.name, task.state.type, task.run_count) == ("Dead", "FAILED", 1)
    assert task.state.message == "smtp DATA: 550 5.3.0"
    assert (ran.state.name, ran.state.message) == ("Failed", "1 dead")
    assert (story.dead_reason, len(story.attempts)) == ("permanent", 1)


async def test_a_failure_that_the_ledger_tries_again_later_fails_the_task_run_but_not_the_flow_run(
    prefect_server, tmp_path, monkeypatch, mail
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        scene.house.fault("smtp_reject", code=451, times=1)
        ran = await scene.ran(user="ada")
        later = await scene.ran(user="ada")

    [task] = ran.tasks.values()
    assert (task.state.name, task.run_count) == ("Retrying", 1)
    assert task.state.message.startswith("smtp DATA: 451 4.3.0; tried again from ")
    assert (ran.state.is_completed(), ran.state.message) == (True, "1 retrying")
    assert later.state.message == "1 done"


async def test_a_revoked_grant_holds_the_task_run(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        account = scene.house.google.sandbox.accounts.by_email("ada@example.org")
        scene.house.google.sandbox.set_revoked(account, True)
        held = await scene.ran(user="ada")
        again = await scene.ran(user="ada", tasks=0)

    [task] = held.tasks.values()
    assert (task.state.name, task.state.type) == ("Held", "COMPLETED")
    assert "consent:google" in task.state.message
    assert (held.state.is_completed(), held.state.message) == (True, "1 held")
    assert "until its cause clears (consent:google)" in again.state.message


async def test_a_day_without_mail_is_skipped_with_its_reason(prefect_server, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=tmp_path / "empty") as scene:
        skipped = await scene.ran(user="ada")

    [task] = skipped.tasks.values()
    assert (task.state.name, task.state.message) == ("Skipped", "no new mail")
    assert skipped.state.message == "1 skipped"


async def test_a_drain_that_finds_nothing_says_so(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        idle = await scene.ran(tasks=0)

    assert (idle.state.is_completed(), idle.state.message, idle.run.name) == (True, "nothing due", "drain")


async def test_prefect_keeps_no_results_and_learns_only_label_and_id(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene:
        ran = await scene.ran(user="ada")
        kept = [file for file in scene.results.rglob("*") if file.is_file()]

    [task] = ran.tasks.values()
    assert set(task.task_inputs) == {"label", "occurrence_id"}
    assert ran.run.parameters == {"user": "ada", "expression": None, "timezone": None, "at": None, "extra": False}
    assert kept == []
    # What the flow returns today is small; these switches keep it so that what it returns tomorrow is not stored.
    assert (deliver_digests.persist_result, deliver_digest.persist_result) == (False, False)


async def test_a_cohort_wakes_only_its_own_schedules(prefect_server, tmp_path, monkeypatch, mail):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", "bruno", mail=mail) as scene:
        await scene.house.store.schedules.set(Wish("bruno", "digest", "daily 08:45"))
        await scene.owed("ada", "bruno")
        cohort = await scene.ran(expression="daily 07:30", timezone="Europe/London")
        rows = await scene.house.store.history.list()

    assert (cohort.state.message, cohort.run.name) == ("1 done", "daily 07:30")
    assert {row.user_id: row.status for row in rows} == {"ada": Status.DONE, "bruno": Status.SCHEDULED}
