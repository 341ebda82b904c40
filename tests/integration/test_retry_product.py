"""Three layers try again, one within the other; here their product is counted, with the real code of each."""

import time

import pytest
import stamina

from flows.digest import deliver_digest
from flows.run_job import perform
from gda.google import http
from gda.lifecycle import Status
from gda.settings import Settings, load_settings
from gda.store import ByHand, Scope, Waker, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest
from tests.support.household import Household, a_household

LISTING, LONGEST_WAIT_IN_RUN_SECONDS = "messages.list", 30


async def runs_until_dead(house: Household) -> list[int]:
    """Wake again and again, as an impatient person would; how many listings each flow run asked for."""
    requests, asked = house.google.sandbox.requests, []
    while not asked or (await house.store.history.list())[0].status is Status.RETRYING:
        before = requests[LISTING]
        await house.asked("ada", run=f"run-{len(asked)}")
        asked.append(requests[LISTING] - before)
    return asked


@pytest.mark.parametrize(
    ("changed", "per_run"),
    [({}, [9, 9, 9, 3]), ({"run_retries": 0, "retry_attempts": 4}, [3, 3, 3, 3]), ({"retry_attempts": 2}, [6])],
    ids=["defaults", "no tries inside a run", "two attempts"],
)
async def test_a_provider_that_always_fails_is_asked_as_often_as_the_three_bounds_allow(tmp_path, changed, per_run):
    settings = {"run_retries": Settings.model_fields["run_retries"].default} | changed
    with stamina.set_testing(True, attempts=http.TRIES, cap=True):
        async with a_household(tmp_path, "ada", **settings) as house:
            house.fault("server_error", status=503, endpoint=LISTING)
            asked = await runs_until_dead(house)
            afterwards = str(await house.asked("ada"))
            [occurrence] = await house.store.history.list()
            story = await house.store.history.story(occurrence.id)
            attempts = house.settings.retry_attempts

    assert asked == per_run
    assert sum(asked) == http.TRIES * attempts == http.TRIES * len(story.attempts)
    assert (occurrence.status, story.dead_reason) == (Status.DEAD, "attempts")
    assert "already settled" in afterwards


async def test_one_attempt_gives_the_provider_three_tries_within_ten_seconds(tmp_path):
    async with a_household(tmp_path, "ada", run_retries=0) as house:
        house.fault("server_error", status=503, endpoint=LISTING)
        started = time.monotonic()
        await house.asked("ada")
        took = time.monotonic() - started
        asked = house.google.sandbox.requests[LISTING]

    assert (asked, http.TRIES, http.PATIENCE_SECONDS) == (3, 3, 10)
    assert took < http.PATIENCE_SECONDS + house.settings.google_timeout_seconds


@pytest.mark.parametrize("task", [deliver_digest, perform], ids=lambda task: task.name)
def test_prefect_tries_at_most_twice_more_at_most_thirty_seconds_apart(task):
    assert task.retries == Settings.model_fields["run_retries"].default == 2
    assert max(task.retry_delay_seconds) * (1 + task.retry_jitter_factor) <= LONGEST_WAIT_IN_RUN_SECONDS


async def test_the_lease_lasts_as_long_as_its_setting_says(tmp_path, monkeypatch):
    monkeypatch.setenv("GDA_LEASE_SECONDS", "200")
    lasted, clock = load_settings().lease_seconds, VirtualClock(MORNING)
    scope = Scope("digest")
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock, lease_seconds=lasted) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(scope, ByHand(), Waker("hand"))
        await store.ledger.claim(scope, Worker("first"), limit=1)
        taken = []
        for seconds in (199, 1):
            clock.advance(seconds=seconds)
            taken.append(len(await store.ledger.claim(scope, Worker("second"), limit=1)))

    assert taken == [0, 1]
