"""Processes that scan to-dos at once: ``python -m tests.chaos.scanners ORDER`` forks them when everything is imported.

Each writes a line for whatever it acted on. Where deaths are ordered, children send themselves SIGKILL right before a
random call to the database, and others take their places.
"""

import asyncio
import json
import os
import random
import signal
import sys
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gda.binding import opened
from gda.jobs.reminders import reminder, rules
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Worker, open_store

PROCESSES = 5
MOST_STEPS = 40


@dataclass(frozen=True, slots=True)
class Order:
    """Which scan, over batches of how many, and how many of the processes die on the way."""

    settings: dict[str, Any]
    scan: str
    limit: int = 50
    deaths: int = 0
    perform: bool = False
    """Whether reminders that were taken are sent as well."""


async def batch(store: Store, order: Order) -> list[str]:
    """One batch of the ordered scan; the ids of what it acted on."""
    if order.scan == "take":
        taken = await store.reminder_dispatch.take(rules(Settings(**order.settings)), Waker("drain"), limit=order.limit)
        return [one.reminder_id for one in taken]
    if order.scan == "overdue":
        return [one.todo_id for one in await store.todo_scans.mark_overdue(notify=True, limit=order.limit)]
    return [one.todo_id for one in await store.todo_scans.follow(limit=order.limit)]


async def obey(order: Order) -> None:
    """Scan until nothing is found."""
    async with open_store(Settings(**order.settings)) as store:
        while found := await batch(store, order):
            os.write(1, "".join(f"{one}\n" for one in found).encode())
        if order.perform:
            await perform(store, Settings(**order.settings))


async def perform(store: Store, settings: Settings) -> None:
    """Send what was taken, by whomever."""
    async with opened(reminder, settings, store) as job:
        desk = Desk(store, job, settings)
        call = WakeUp(Scope(reminder.kind), Worker(f"scanner-{os.getpid()}"), Waker("drain"))
        await wake(desk, call, lambda claims: settle_alone(desk, claims))


def child(order: Order, fatal: int) -> None:
    """Scan in this process, and die before the ``fatal``-th call to the database where that is not 0."""
    left = [fatal]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if fatal:
        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
    asyncio.run(obey(order))
    os._exit(0)


def main() -> int:
    """Keep so many processes at work until each has found nothing; says on standard error how many were killed."""
    order = Order(**json.loads(sys.argv[1]))
    chance, running, killed, failed = random.Random(5), set[int](), 0, 0
    deaths = [chance.randint(1, MOST_STEPS) for _ in range(order.deaths)]

    def fork() -> None:
        fatal = deaths.pop() if deaths else 0
        pid = os.fork()
        if pid == 0:
            child(order, fatal)
        running.add(pid)

    for _ in range(PROCESSES):
        fork()
    while running:
        pid, status = os.wait()
        running.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        killed += code == -signal.SIGKILL
        failed += code > 0
        if code == -signal.SIGKILL or deaths:
            fork()
    print(killed, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
