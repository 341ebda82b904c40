"""A worker process of its own whose jobs may bring it down: ``python -m tests.support.doomed DATABASE OWNER``.

What a job does stands in its user's id: ``exit-…`` ends the process, ``block-…`` blocks the event loop, ``eat-…`` eats
memory, ``raise-…`` raises a BaseException, everybody else is done at once.
"""

import asyncio
import os
import sys
import time

from pydantic import SecretStr

from gda.job import Job, JobType
from gda.outcome import Done, Outcome
from gda.retry import RetryPolicy
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Waker, Worker, open_store

LEASE_SECONDS = 6
MEMORY_MEBIBYTES = 600
LONG_SECONDS = 120


class Unheard(BaseException):
    """What no `except Exception` catches."""


async def perform(job: Job) -> Outcome:
    """Do what the user's id says."""
    match (job.occurrence.user_id or "").partition("-")[0]:
        case "exit":
            os._exit(3)
        case "block":
            time.sleep(LONG_SECONDS)  # Blocking the loop is what this job is for.
        case "eat":
            await eat()
        case "raise":
            raise Unheard
    return Done()


async def eat() -> None:
    """Take memory, 16 MiB at a time, up to a bound that the watch must not let it reach."""
    eaten = []
    for _ in range(4 * MEMORY_MEBIBYTES // 16):
        eaten.append(bytearray(os.urandom(1) * (16 << 20)))
        await asyncio.sleep(0.02)


async def main(database: str, owner: str) -> None:
    """Perform everything that is due, as one flow run does."""
    settings = Settings(
        database_url=SecretStr(database),
        lease_seconds=LEASE_SECONDS,
        lease_refresh_seconds=1,
        memory_limit_mebibytes=MEMORY_MEBIBYTES,
        early_seconds=0,
    )
    async with open_store(settings) as store:
        desk = Desk(store, JobType("digest", perform, RetryPolicy(in_run_retries=0)), settings)
        call = WakeUp(Scope("digest"), Worker(owner), Waker("drain"))
        print(await wake(desk, call, lambda claim: settle_alone(desk, claim)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
