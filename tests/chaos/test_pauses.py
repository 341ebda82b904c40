"""Workers that stand still past their lease and go on after a take-over: refused, recorded, no second mail."""

import asyncio
import signal
import time
from collections import Counter

import pytest

from gda.store.recovery import LATE
from tests.chaos.crew import (
    FIRST_MAIL,
    FULL,
    LEASE_SECONDS,
    Crew,
    a_crew,
    give_mailboxes,
    last_two_slots,
    owe_slot,
)
from tests.chaos.proof import delivered_once, each_message_once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AT_ONCE = 15


async def stand_still(crew: Crew, orders: dict[str, dict[str, object]]) -> list[str]:
    """Start a worker for each user, which stops itself; returns those that did, the others having ended before."""
    first, _ = last_two_slots(await crew.store.ledger.now())
    for user, order in orders.items():
        await owe_slot(crew, first, user)
        await crew.start(user, user=user, signal=signal.SIGSTOP, **order)
    stopped = await asyncio.gather(*(crew.paused(user) for user in orders))
    return [user for user, still in zip(orders, stopped, strict=True) if still]


async def taken_over(crew: Crew, users: list[str]) -> None:
    """Let others finish the work, then wake the sleepers: nothing that was settled may change."""
    await asyncio.sleep(LEASE_SECONDS + 0.5)
    rows = await crew.swept()
    for user in users:
        crew.send(user, signal.SIGCONT)
    await crew.over(*users)
    assert await crew.store.history.list(limit=500) == rows, "a late worker changed what was settled"


async def attempts_of(crew: Crew, users: list[str]) -> Counter[str]:
    """How the attempts of these workers ended; ``refused`` where the late write stands recorded."""
    rows = await crew.store.history.list(limit=500)
    stories = [await crew.store.history.story(row.id) for row in rows]
    mine = [attempt for story in stories for attempt in story.attempts if attempt.owner in users]
    return Counter("refused" if attempt.message == LATE else str(attempt.outcome) for attempt in mine)


async def test_a_worker_paused_at_any_step_has_no_second_effect_when_it_goes_on(database_url):
    # Inside a transaction only where that stops nobody else: SQLite has one write lock for all.
    inside = database_url.startswith("postgresql")
    every = (1 if FULL else 11) if inside else (1 if FULL else 2)
    watched = "all" if inside else "abroad"
    began, paused = time.monotonic(), list[str]()
    async with a_crew(database_url) as crew:
        users = [f"p{number:03}" for number in range((120 if inside else 30) // every)]
        await give_mailboxes(crew, users)
        for start in range(0, len(users), AT_ONCE):
            orders = {
                user: {"step": number * every + 1, "watched": watched}
                for number, user in list(enumerate(users))[start : start + AT_ONCE]
            }
            still = await stand_still(crew, orders)
            await taken_over(crew, still)
            paused += still
            # Only who completed the job shows that it has no more steps; the watchdog may end one on a busy machine.
            if any(crew.ended[user] == 0 for user in orders.keys() - still):
                break
        else:
            raise AssertionError("the job has more steps than this test has users")
        seconds = time.monotonic() - began
        ends = await attempts_of(crew, paused)
        exits = Counter(crew.ended[user] for user in paused)
        rows = await crew.store.history.list(limit=500)
        print(f"paused at {len(paused)} steps ({watched}): {dict(ends)}, exits {dict(exits)}, {seconds:.0f} s")
        delivered_once(crew, rows)
        each_message_once(crew, users[: len(rows)], FIRST_MAIL)
    assert len(paused) >= 4
    assert ends["refused"] >= 2
    # Who went on without an error was told that it came too late, and that is written down.
    assert ends["lost"] <= exits[1]


async def test_a_worker_paused_between_its_permission_and_the_last_byte_sends_no_second_mail(database_url):
    async with a_crew(database_url) as crew:
        users = ["before", "halfway"]
        await give_mailboxes(crew, users)
        orders = {"before": {"step": 1, "watched": "content"}, "halfway": {"step": 1, "watched": "halfway"}}
        still = await stand_still(crew, orders)
        assert still == users
        await taken_over(crew, still)
        ends = await attempts_of(crew, users)
        print(f"paused between intent and last byte: {dict(ends)}")
        delivered_once(crew, await crew.store.history.list())
        each_message_once(crew, users, FIRST_MAIL)
    assert ends == {"refused": 2}
