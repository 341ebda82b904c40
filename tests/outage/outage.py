"""The outage: all is killed while digests are being performed, is away for an hour, and comes back to what was missed.

By default the hour is not lived: while nothing runs, both databases are set back by it (``tests.outage.shift``), so
that the runs which Prefect had made for the coming hour, the schedules' next slots and every lease are an hour old.
With ``lived`` the time really passes. What comes back is real in either way: server, workers, flow runs, sweep.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.client.schemas.objects import FlowRun
from sqlalchemy import select

from gda.jobs import DIGEST
from gda.lifecycle import Occurrence, Status
from gda.store.tables import occurrences, schedules
from tests.outage.place import FRESH, Place, Running, a_place, all_running, caught_running
from tests.outage.shift import set_back

ENOUGH_SECONDS = 600
"""After this the return is given up; what is left undone then counts as wrong."""
FRESH_SECONDS = 180
"""How soon a digest that a person asks for right after the return must begin: a sweep each minute, and a start."""
LOOK_EVERY_SECONDS = 1.0
HARMLESS = ("Completed", "Superseded", "NotLeader")
"""How a late run may end: it found what was due or nothing, the sweep cancelled it, or another one swept."""
WAITING = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


@dataclass(slots=True)
class Judged:
    """What happened: figures to print, and each thing that is not as it must be."""

    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def require(self, fact: bool, sentence: str) -> None:
        """Note the sentence as wrong unless the fact holds."""
        if not fact:
            self.wrong.append(sentence)


@dataclass(frozen=True, slots=True)
class Before:
    """How things stood at the kill: the runs that were running or about to, and how many waited for their time."""

    live: tuple[str, ...]
    waiting: int


async def live(
    folder: Path,
    users: int,
    *,
    away: timedelta = timedelta(hours=1),
    lived: bool = False,
    small: bool = False,
    free: int = 0,
    say: Callable[[str], None],
) -> Judged:
    """Let it happen and judge it.

    Args:
        folder: where databases and logs go.
        users: user deployments.
        away: how long; whole hours, unless it is lived.
        lived: really wait for so long.
        small: without the system jobs that have no part in what is judged, and with two runs at once.
        free: how many places of the pool no lost run holds.
        say: told how it goes.
    """
    judged = Judged()
    async with a_place(folder, users, small=small, limit=free + 1 if free else None) as place:
        async with all_running(place, deploy=True) as running:
            say(f"{users} users are deployed")
            before = await _fallen(place, running, free)
        say(f"killed while {len(before.live)} flow runs were running or about to; {before.waiting} wait for their time")
        await _away(place, away, lived=lived)
        place.gate.open()
        came_back = datetime.now(UTC)
        async with all_running(place, deploy=False) as running:
            say(f"back after {away}")
            await _recovered(place, running, judged, came_back, before)
            await _judge_runs(running, judged, came_back, before)
        rows = await place.store.history.list(limit=100_000)
        _judge_slots(place, judged, rows, came_back)
        _judge_mails(place, judged, rows)
    return judged


async def _fallen(place: Place, running: Running, free: int) -> Before:
    await caught_running(place, running, free=free)
    expected = len(place.users)
    while True:
        waiting = await running.runs(state={"type": {"any_": ["SCHEDULED"]}})
        if len({run.deployment_id for run in waiting if run.auto_scheduled}) >= expected:
            break
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    live = [str(run.id) for run in await running.runs(state={"type": {"any_": ["RUNNING", "PENDING"]}})]
    running.kill()
    return Before(tuple(live), len(waiting))


async def _away(place: Place, away: timedelta, *, lived: bool) -> None:
    if lived:
        await asyncio.sleep(away.total_seconds())
        return
    for file in (place.folder / "prefect" / "prefect.db", place.folder / "gda.db"):
        assert set_back(file, away) > 0


async def _recovered(place: Place, running: Running, judged: Judged, since: datetime, before: Before) -> None:
    """Wait until nothing that was missed is left, and until a fresh wish has been served."""
    begun = time.monotonic()
    wish = await running.quick_run(FRESH)
    started = None
    while time.monotonic() - begun < ENOUGH_SECONDS:
        fresh = await running.client.read_flow_run(wish.id)
        if started is None and fresh.start_time is not None:
            started = time.monotonic() - begun
        # A mail that has arrived while its occurrence is not settled yet would be counted as one too many.
        if fresh.state and fresh.state.is_final() and await _nothing_left(place, running, since):
            break
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    judged.figures["seconds until a fresh wish began"] = None if started is None else round(started, 1)
    judged.figures["seconds until nothing missed was left"] = round(time.monotonic() - begun, 1)
    judged.require(
        started is not None and started <= FRESH_SECONDS,
        f"a fresh wish waited for {started} s (at most {FRESH_SECONDS})",
    )
    judged.require(await _nothing_left(place, running, since), f"something missed is left after {ENOUGH_SECONDS} s")


async def _nothing_left(place: Place, running: Running, since: datetime) -> bool:
    open_ = [status.value for status in (Status.SCHEDULED, Status.RUNNING, Status.RETRYING)]
    own = occurrences.c
    async with place.store.database.read() as connection:
        unsettled = select(own.id).where(own.status.in_(open_), own.due_at < since).limit(1)
        unpromised = select(schedules.c.id).where(schedules.c.enabled, schedules.c.next_due_at < since).limit(1)
        if await connection.scalar(unsettled) or await connection.scalar(unpromised):
            return False
    asked = {"state": {"type": {"any_": list(WAITING)}}, "expected_start_time": {"before_": since}}
    return not await running.runs(**asked)


async def _judge_runs(running: Running, judged: Judged, since: datetime, before: Before) -> None:
    """Runs that were late: at most one of each deployment began; what was running is closed."""
    known = await running.runs(expected_start_time={"before_": since})
    missed = [run for run in known if run.auto_scheduled and str(run.id) not in before.live]
    # Prefect gives a run that never began a start time too, when it is cancelled; it counts how often one was running.
    begun = [run for run in missed if run.run_count and run.start_time is not None and run.start_time >= since]
    judged.figures["late runs"] = len(missed)
    judged.figures["late runs by how they ended"] = _ended(missed)
    judged.figures["late runs that began, by how they ended"] = _ended(begun)
    starts = Counter(run.deployment_id for run in begun)
    judged.figures["starts of late runs per deployment"] = sorted(starts.values(), reverse=True)
    users = {run.deployment_id for run in begun if any(tag.startswith("user:") for tag in run.tags)}
    judged.figures["user deployments with a late run that began"] = len(users)
    judged.require(max(starts.values(), default=0) <= 1, f"{_several(begun)}: more than one start per deployment")
    judged.require(
        all(run.state and run.state.name in HARMLESS for run in missed if _since(run, since)),
        f"late runs ended as {_ended(missed)}",
    )
    zombies = [run for run in await running.runs(id={"any_": list(before.live)})]
    judged.figures["runs that were running or about to"] = _ended(zombies)
    judged.require(
        all(run.state and run.state.name == "Crashed" for run in zombies), f"zombies ended as {_ended(zombies)}"
    )
    judged.require(len(zombies) > 0, "no run was running when all was killed")


def _several(begun: list[FlowRun]) -> list[str]:
    counts = Counter(run.deployment_id for run in begun)
    return [
        f"{run.name} due {run.expected_start_time}, began {run.start_time}"
        for run in begun
        if counts[run.deployment_id] > 1
    ]


def _since(run: FlowRun, since: datetime) -> bool:
    return run.end_time is None or run.end_time >= since


def _ended(runs: list[FlowRun]) -> dict[str, int]:
    return dict(Counter(f"{run.state.name}" if run.state else "none" for run in runs).most_common())


def _judge_slots(place: Place, judged: Judged, rows: list[Occurrence], since: datetime) -> None:
    """Catch-up ``latest``: of what each schedule missed the last slot was served, once, and the others refused."""
    served: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for row in rows:
        if row.user_id in place.users and not row.extra and row.due_at < since:
            (served if row.status is Status.DONE else refused)[row.user_id] += 1
            judged.require(
                row.status in (Status.DONE, Status.SKIPPED), f"{row.label} ended {row.status.value}: {row.reason}"
            )
    judged.figures["schedules served once"] = sum(count == 1 for count in served.values())
    judged.figures["rows of refused slots"] = sum(refused.values())
    wrong = {user: served[user] for user in place.users if served[user] != 1}
    judged.require(not wrong, f"missed slots served other than once: {wrong}")


def _judge_mails(place: Place, judged: Judged, rows: list[Occurrence]) -> None:
    """A digest arrived for each occurrence that is done, and for no other."""
    done = Counter(row.user_id for row in rows if row.kind == DIGEST and row.status is Status.DONE)
    arrived = {user: place.mails(user) for user in (*place.users, FRESH)}
    judged.figures["digests that arrived"] = sum(arrived.values())
    wrong = {user: (count, done[user]) for user, count in arrived.items() if count != done[user]}
    judged.require(not wrong, f"digests that arrived, and occurrences done: {wrong}")
