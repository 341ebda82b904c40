"""A sandbox, a database and worker processes that may be killed, stopped and resumed."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gda.heartbeat import EXIT_CODE
from gda.lifecycle import Occurrence
from gda.schedule import latest_slot, parse, parse_slot, slot_name
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Wish
from gda.sweep import sweep
from tests.builders import a_store
from tests.support.household import sandbox_settings, settle_in
from tests.support.sandbox import RunningSandbox, plain_mail, running_sandbox

FULL = os.environ.get("GDA_CHAOS") == "full"
"""Whether the full amounts are asked for (``make chaos``); ``make test`` runs small ones."""
FIRST_MAIL = ("Apples", "Bread", "Cider")
LEASE_SECONDS = 3
SMTP_IDLE_SECONDS = 2.0
"""Shorter than the settling time, as mail servers' are (20 s and 30 s): a sender that stood still has lost its line."""
PATIENT = {"lease_seconds": 60, "lease_refresh_seconds": 15}
"""For tests in which nobody dies: a machine that is busy otherwise may let a short lease end."""
SHORT = {
    "lease_seconds": LEASE_SECONDS,
    "lease_refresh_seconds": 1,
    "smtp_timeout_seconds": 2,
    "mail_settling_seconds": 4,
    "early_seconds": 0,
    "retry_delay_seconds": 0.1,
    "concurrency": 16,
    "claim_size": 32,
}


@dataclass(slots=True)
class Crew:
    """Worker processes of one database, started through one forking parent."""

    store: Store
    settings: Settings
    google: RunningSandbox
    parent: asyncio.subprocess.Process
    pids: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)

    async def start(self, owner: str, **order: Any) -> None:
        """Start a worker; the keywords are those of ``tests.chaos.worker.Order``."""
        assert self.parent.stdin is not None
        line = json.dumps({"owner": owner, "settings": plain(self.settings)} | order)
        self.parent.stdin.write(line.encode() + b"\n")
        await self.parent.stdin.drain()

    async def over(self, *owners: str, seconds: float = 60) -> None:
        """Wait until these workers have ended."""
        await until(lambda: all(owner in self.ended for owner in owners), f"the end of {owners}", seconds)

    async def paused(self, owner: str) -> bool:
        """Wait until a worker stands still or has ended; whether it stands still."""
        try:
            await until(lambda: owner in self.ended or self._state(owner) == "T", f"{owner} to stand still", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._how_all_stand()}") from None
        return owner not in self.ended

    def _how_all_stand(self) -> str:
        """The state of each living process, who holds SQLite's write lock, and on their stderr where they are."""
        alive = {owner: self._state(owner) for owner in self.pids.keys() - self.ended.keys()}
        for owner in (owner for owner, state in alive.items() if state != "T"):
            self.send(owner, signal.SIGUSR1)
            time.sleep(0.1)
        holders = write_lock_holders(self.store.database.engine.url.database or "")
        return f"alive: {alive}, writing: {[owner for owner, pid in self.pids.items() if pid in holders]}"

    def send(self, owner: str, number: int) -> None:
        """Send a signal to a worker that may be gone already."""
        with suppress(ProcessLookupError):
            os.kill(self.pids[owner], number)

    def _state(self, owner: str) -> str:
        if owner not in self.pids:
            return ""
        with suppress(OSError):
            return Path(f"/proc/{self.pids[owner]}/stat").read_text().rpartition(")")[2].split()[0]
        return ""

    async def swept(self, seconds: float = 120, **order: Any) -> list[Occurrence]:
        """Sweep, and perform what the sweep asks drains for, until everything has ended; returns all rows."""
        deadline = time.monotonic() + seconds
        while True:
            asked = await self.sweep()
            if asked:
                owner = f"drain-{len(self.pids)}"
                await self.start(owner, **order)
                await self.over(owner, seconds=seconds)
                assert self.ended[owner] in (0, EXIT_CODE), "a drain failed; it says above by what"
            rows = await self.store.history.list(limit=5000)
            if all(row.finished_at for row in rows):
                return rows
            assert time.monotonic() < deadline, [(r.id, r.status, r.reason) for r in rows if not r.finished_at][:5]
            await asyncio.sleep(0.2)

    async def sweep(self) -> list[str]:
        """One sweep in this process; returns the kinds that it wanted drains of."""
        asked: list[str] = []

        async def ensure_drain(kind: str, _: str) -> bool:
            asked.append(kind)
            return True

        async def close_runs(_: Store) -> int:
            return 0

        swept = await sweep(self.store, self.settings, Waker("sweep"), ensure_drain=ensure_drain, close_runs=close_runs)
        assert not swept.failures, swept.failures
        return asked

    async def listen(self) -> None:
        """Keep what the workers say."""
        assert self.parent.stdout is not None
        async for line in self.parent.stdout:
            news = json.loads(line)
            if "pid" in news:
                self.pids[news["owner"]] = news["pid"]
            elif "ended" in news:
                self.ended[news["owner"]] = news["ended"]
            elif "claimed" in news:
                self.claimed.append(news["claimed"])
            else:
                self.steps[news["owner"]] = news["steps"]


def write_lock_holders(file: str) -> set[int]:
    """Process ids that hold the write lock of an SQLite database in WAL mode: byte 120 of its shared memory's file."""
    shared = Path(f"{file}-shm")
    if not shared.exists():
        return set()
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line]
    inode = str(shared.stat().st_ino)
    return {int(lock[4]) for lock in locks if lock[5].endswith(f":{inode}") and lock[6] == "120"}


def plain(settings: Settings) -> dict[str, Any]:
    """Settings as JSON that makes the same settings again; the keys are made for this test alone."""
    values = json.loads(settings.model_dump_json(exclude_unset=True))
    for name in ("keys", "database_url", "google_client_secret"):
        value = getattr(settings, name)
        values[name] = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
    return dict(values)


async def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.02)


async def give_mailboxes(crew: Crew, users: Sequence[str], subjects: Sequence[str] = FIRST_MAIL) -> None:
    """Users with a daily digest, and a mailbox with a mail of each subject."""
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            (Path(folder) / f"{subject}.eml").write_bytes(plain_mail(subject, message_id=f"{subject}@example.net"))
        await settle_in(crew.store, crew.settings, crew.google, users, folder)


async def owe_digests(crew: Crew, users: Sequence[str]) -> None:
    """A digest owed to each user, who has a mailbox with mail in it."""
    await give_mailboxes(crew, users)
    await crew.store.ledger.promise_by_hand(Scope("digest"), ByHand(), Waker("hand"))


async def owe_slot(crew: Crew, slot: str, user: str | None = None) -> None:
    """The digest of a nominal slot, owed to one user or to everybody."""
    await crew.store.ledger.promise_by_hand(Scope("digest", user_id=user), ByHand(at=slot), Waker("hand"))


def last_two_slots(now: datetime) -> tuple[str, str]:
    """Yesterday's and today's slot of a daily digest, or a day before each while today's is not due."""
    latest = latest_slot(parse("daily 07:30"), "Europe/London", now)
    assert latest is not None
    return slot_name(parse_slot(latest.slot) - timedelta(days=1)), latest.slot


def comes(crew: Crew, users: Sequence[str], subjects: Sequence[str]) -> None:
    """A new mail of each subject arrives in each mailbox."""
    for user in users:
        account = crew.google.sandbox.accounts.by_email(f"{user}@example.org")
        assert account is not None
        for subject in subjects:
            crew.google.sandbox.add_message(account, plain_mail(subject, message_id=f"{subject}@example.net"))


async def owe_nothing_much(crew: Crew, count: int, *, promised: bool = True) -> None:
    """So many occurrences without mailboxes, for jobs that do nothing."""
    names = [f"u{number:04}" for number in range(count)]
    await crew.store.users.add_many([(name, f"{name}@example.org", "UTC") for name in names])
    await crew.store.schedules.add_many([Wish(name, "digest", "weekly mon 07:30") for name in names], {})
    if promised:
        await crew.store.ledger.promise_by_hand(Scope("digest"), ByHand(), Waker("hand"))


@asynccontextmanager
async def a_crew(url: str, **changes: Any) -> AsyncIterator[Crew]:
    """Open everything, and end every process at the end."""
    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(running_sandbox(smtp_idle_seconds=SMTP_IDLE_SECONDS))
        settings = sandbox_settings(google, url, **SHORT | changes)
        store = await stack.enter_async_context(a_store(url, **SHORT | changes))
        command = [sys.executable, "-m", "tests.chaos.worker"]
        # What is killed writes no coverage, and the tests of one process run the same lines.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        parent = await asyncio.create_subprocess_exec(*command, stdin=-1, stdout=-1, env=environment)
        crew = Crew(store, settings, google, parent)
        listening = asyncio.create_task(crew.listen())
        try:
            yield crew
        finally:
            for owner in crew.pids.keys() - crew.ended.keys():
                crew.send(owner, signal.SIGKILL)
            assert parent.stdin is not None
            parent.stdin.close()
            await parent.wait()
            await listening
