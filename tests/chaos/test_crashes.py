"""Workers that are killed at every step: nothing is lost, nothing happens twice, each message is delivered once."""

import asyncio
import signal
import time

import pytest

from gda.lifecycle import Status
from tests.chaos.crew import (
    FIRST_MAIL,
    FULL,
    Crew,
    a_crew,
    comes,
    give_mailboxes,
    last_two_slots,
    owe_nothing_much,
    owe_slot,
)
from tests.chaos.proof import delivered_once, each_message_once
from tests.chaos.worker import enqueue_once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AT_ONCE = 3
LATER_MAIL = ("Dates", "Eggs")


async def killed_at_every_step(crew: Crew, users: list[str], every: int, run: str = "", **order: object) -> list[str]:
    """Kill one worker per user at another step each, until a worker ends by itself; returns the users that had one."""
    for start in range(0, len(users), AT_ONCE):
        batch = list(enumerate(users))[start : start + AT_ONCE]
        for number, user in batch:
            await crew.start(user + run, user=user, step=number * every + 1, **order)
        ends = await asyncio.gather(*(end_of(crew, user + run) for _, user in batch))
        assert set(ends) <= {0, -signal.SIGKILL}
        if 0 in ends:
            return users[: start + AT_ONCE]
    raise AssertionError("the job has more steps than this test has users")


async def end_of(crew: Crew, owner: str) -> int:
    """How a worker ended."""
    await crew.over(owner)
    return crew.ended[owner]


def killed(crew: Crew) -> int:
    """How many workers were killed."""
    return sum(code == -signal.SIGKILL for code in crew.ended.values())


async def test_two_digests_of_a_schedule_killed_at_any_step_are_delivered_once_each(database_url):
    every, began = 1 if FULL else 20, time.monotonic()
    async with a_crew(database_url) as crew:
        users = [f"d{number:03}" for number in range(126 // every)]
        await give_mailboxes(crew, users)
        first, second = last_two_slots(await crew.store.ledger.now())
        await owe_slot(crew, first)
        met = await killed_at_every_step(crew, users, every)
        await crew.swept()
        comes(crew, users, LATER_MAIL)
        await owe_slot(crew, second)
        met_again = await killed_at_every_step(crew, users, every, "-again")
        rows = await crew.swept()
        seconds = time.monotonic() - began
        delivered_once(crew, rows)
        messages = each_message_once(crew, users, (*FIRST_MAIL, *LATER_MAIL))
    print(f"digest: {killed(crew)} kills, {len(rows)} occurrences, {messages} messages once, {seconds:.0f} s")
    assert min(len(met), len(met_again)) > 20 // every
    assert {row.status for row in rows} == {Status.DONE}


async def test_a_slot_that_falls_due_while_the_one_before_lies_crashed_lists_no_message_twice(database_url):
    every, began = 1 if FULL else 20, time.monotonic()
    async with a_crew(database_url) as crew:
        users = [f"o{number:03}" for number in range(126 // every)]
        await give_mailboxes(crew, users)
        first, second = last_two_slots(await crew.store.ledger.now())
        await owe_slot(crew, first)
        await killed_at_every_step(crew, users, every)
        comes(crew, users, LATER_MAIL)
        await owe_slot(crew, second)
        rows = await crew.swept()
        seconds = time.monotonic() - began
        delivered_once(crew, rows)
        messages = each_message_once(crew, users, (*FIRST_MAIL, *LATER_MAIL))
    print(f"overlapping: {killed(crew)} kills, {len(rows)} occurrences, {messages} messages once, {seconds:.0f} s")


async def test_an_enqueued_digest_killed_at_any_step_is_delivered_once(database_url):
    every, began = 1 if FULL else 24, time.monotonic()
    async with a_crew(database_url) as crew:
        users = [f"e{number:03}" for number in range(150 // every)]
        await give_mailboxes(crew, users)
        met = await killed_at_every_step(crew, users, every, enqueue=True)
        for user in met:
            await enqueue_once(crew.store, crew.settings, user)
        rows = await crew.swept()
        seconds = time.monotonic() - began
        delivered_once(crew, rows)
        messages = each_message_once(crew, met, FIRST_MAIL)
    print(f"enqueued: {killed(crew)} kills, {len(rows)} occurrences, {messages} messages once, {seconds:.0f} s")
    assert len(rows) == len(met) > 20 // every
    assert {row.status for row in rows} == {Status.DONE}


async def test_an_enqueued_job_that_does_nothing_killed_at_any_step_is_settled_once(database_url):
    every, began = 1 if FULL else 8, time.monotonic()
    async with a_crew(database_url) as crew:
        await owe_nothing_much(crew, 120 // every, promised=False)
        users = [f"u{number:04}" for number in range(120 // every)]
        met = await killed_at_every_step(crew, users, every, enqueue=True, noop_seconds=0)
        for user in met:
            await enqueue_once(crew.store, crew.settings, user)
        rows = await crew.swept(noop_seconds=0)
    print(f"no-op: {killed(crew)} kills, {len(rows)} occurrences, {time.monotonic() - began:.0f} s")
    assert len(rows) == len(met) > 12 // every
    assert {(row.status, row.burnt) for row in rows} == {(Status.DONE, 0)}
