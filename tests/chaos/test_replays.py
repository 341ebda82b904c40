"""Ten failures in a row, the inbox, and a replay by the command: one mail each, however often it is asked for."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from gda.lifecycle import Status
from gda.sandbox.faults import Fault
from tests.chaos.crew import FIRST_MAIL, FULL, PATIENT, Crew, a_crew, owe_digests
from tests.chaos.proof import delivered_once, each_message_once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def gda(crew: Crew, *words: str) -> str:
    """Run the command as a person does, in a process of its own; returns what it prints."""
    command = [str(Path(sys.executable).with_name("gda")), *words]
    environment = {**os.environ, "GDA_DATABASE_URL": crew.settings.database}
    child = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1, env=environment)
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, err.decode()
    return out.decode()


async def test_ten_failures_are_a_dead_letter_and_its_replay_sends_one_mail(database_url):
    users = [f"t{number}" for number in range(20 if FULL else 3)]
    async with a_crew(database_url, retry_delay_seconds=0.02, retry_max_delay_seconds=0.05, **PATIENT) as crew:
        await owe_digests(crew, users)
        crew.google.sandbox.faults.switch_on(Fault("smtp_reject", code=451))
        dead = await crew.swept()
        stories = [await crew.store.history.story(row.id) for row in dead]
        assert {(row.status, row.burnt) for row in dead} == {(Status.DEAD, 10)}
        assert {story.dead_reason for story in stories} == {"attempts"}
        assert {tuple(attempt.number for attempt in story.attempts) for story in stories} == {tuple(range(1, 11))}
        assert not len(crew.google.sandbox.accepted)

        crew.google.sandbox.faults.clear()
        replayed = json.loads(await gda(crew, "dead-letters", "replay", "--all", "--json"))
        rows = await crew.swept()
        again = json.loads(await gda(crew, "dead-letters", "replay", "--all", "--json"))
        await crew.swept()
        delivered_once(crew, rows)
        each_message_once(crew, users, FIRST_MAIL)
        after = await crew.store.history.story(rows[0].id)
    print(f"replayed {len(replayed['occurrences'])}, then {len(again['occurrences'])}")
    assert sorted(replayed["occurrences"]) == sorted(row.id for row in rows)
    assert again["occurrences"] == []
    assert {row.status for row in rows} == {Status.DONE}
    assert [attempt.outcome for attempt in after.attempts] == ["failed"] * 10 + ["done"]
