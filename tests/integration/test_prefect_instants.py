"""Clock changes on a real Prefect server: at whatever instants it wakes, each nominal slot is performed once, in time.

The server is asked for its instants through ``POST /deployments/{id}/schedule`` with a start in the past, once for each
three hours, as its scheduler asks itself while time goes by; the deployment is the one that ``gda apply`` makes. The
instants are then the times at which the real ledger is woken, on a virtual clock, with the real sweep beside it.
"""

import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import prefect
import pytest

from deployments.plan import Existing
from gda.binding import opened
from gda.job import Job, JobType
from gda.lifecycle import Claim, Occurrence, Status
from gda.outcome import Done, Outcome
from gda.retry import RetryPolicy
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.settings import Settings
from gda.store import Scope, Store, Waker, Wish, Worker
from gda.sweep import sweep
from tests.builders import VirtualClock
from tests.oracle import brute
from tests.support.deployed import Deployed, deployed

pytestmark = pytest.mark.slow

SPAN = timedelta(days=2)
SWEEP_EVERY = timedelta(minutes=30)
LATEST = SWEEP_EVERY + timedelta(seconds=120)
"""How long after its time a slot is performed at most: the sweep's grace, and the time until a sweep comes."""
CASES = [
    ("America/New_York", "30 2 * * *", date(2026, 3, 8)),
    ("America/New_York", "30 1,2,3 * * *", date(2026, 3, 8)),
    ("America/New_York", "30 1 * * *", date(2026, 11, 1)),
    ("America/New_York", "0 0-23/3 * * *", date(2026, 11, 1)),
    ("Africa/Cairo", "30 0 * * *", date(2026, 4, 24)),
    ("Asia/Beirut", "0 0 * * *", date(2026, 3, 29)),
    ("Asia/Beirut", "30 23 * * *", date(2026, 10, 24)),
    ("Australia/Lord_Howe", "15 2 * * *", date(2026, 10, 4)),
    ("Australia/Lord_Howe", "45 1 * * *", date(2026, 4, 5)),
    ("Pacific/Apia", "0 9 * * *", date(2011, 12, 30)),
    ("America/Santiago", "15 0 * * *", date(2026, 9, 6)),
]
"""Zone, cron line and the local day of its clock change: gap, fold, at midnight, of half an hour, of a whole day."""


@dataclass
class Diary:
    """A job that writes down when it performed which slot; nobody performs before a slot is due."""

    clock: VirtualClock
    performed: list[tuple[str, datetime]] = field(default_factory=list)

    async def __call__(self, job: Job) -> Outcome:
        """One attempt."""
        self.performed.append((job.occurrence.slot or "", self.clock.instant))
        return Done()


async def instants_of(place: Deployed, deployment: Existing, since: datetime, until: datetime) -> list[datetime]:
    """When Prefect would wake the deployment, each instant once."""
    start = since
    while start < until:
        path = cast(Any, f"/deployments/{deployment.id}/schedule")
        await place.client.request("POST", path, json={"start_time": start.isoformat()})
        start += timedelta(hours=3)
    body = {"flow_runs": {"deployment_id": {"any_": [deployment.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
    runs = (await place.client.request("POST", "/flow_runs/filter", json=body)).json()
    found = {datetime.fromisoformat(run["expected_start_time"]).astimezone(UTC) for run in runs}
    return sorted(instant for instant in found if since <= instant <= until)


async def served(store: Store, job_type: JobType, scope: Scope, woken_by: str) -> None:
    """What a flow run does."""
    settings = Settings(early_seconds=0)
    async with opened(job_type, settings, store, middleware=()) as ready:
        desk = Desk(store, ready, settings)

        async def each(claims: list[Claim]) -> list[Status | None]:
            return await settle_alone(desk, claims)

        await wake(desk, WakeUp(scope, Worker("run"), Waker(woken_by)), cast(Any, each))


async def lived(place: Deployed, wakes: list[datetime], since: datetime, until: datetime) -> Diary:
    """Let time pass: Prefect's wake-ups at their instants, and a sweep with its drain every half an hour."""
    diary = Diary(place.clock)
    job_type = JobType("digest", diary, RetryPolicy())
    asked: list[str] = []

    async def ensure_drain(kind: str, _queue: str) -> bool:
        asked.append(kind)
        return True

    async def close_nothing(_: Store) -> int:
        return 0

    sweeps = [since + number * SWEEP_EVERY for number in range(int((until - since) / SWEEP_EVERY) + 1)]
    for instant, by_prefect in sorted([(one, True) for one in wakes] + [(one, False) for one in sweeps]):
        place.clock.instant = instant
        if by_prefect:
            await served(place.store, job_type, Scope("digest", user_id="ada"), "schedule")
            continue
        swept = await sweep(
            place.store, Settings(), Waker("sweep"), ensure_drain=ensure_drain, close_runs=close_nothing
        )
        assert swept.failures == []
        while asked:
            await served(place.store, job_type, Scope(asked.pop()), "drain")
    return diary


def owed(zone: str, cron: str, since: datetime, until: datetime) -> list[brute.Slot]:
    """What brute force says that the user is owed."""
    first, days = (since - timedelta(days=1)).date(), (until - since).days + 3
    found = brute.slots(cron, brute.wall(brute.zone_of(zone), first, days), first, days)
    return [slot for slot in found if since < slot.due_at <= until - LATEST]


def around(zone: str, day: date) -> tuple[datetime, datetime]:
    """Two days before and after noon of a local day (UTC)."""
    noon = datetime.combine(day, time(12), tzinfo=brute.zone_of(zone)).astimezone(UTC)
    return noon - SPAN, noon + SPAN


async def woken_by_prefect(
    place: Deployed, zone: str, cron: str, day: date
) -> tuple[list[brute.Slot], list[datetime], Diary, list[Occurrence]]:
    """The slots around a clock change, Prefect's instants, what was performed when, and the ledger's rows."""
    since, until = around(zone, day)
    place.clock.instant = since
    await place.store.users.add("ada@example.org", timezone=zone)
    await place.store.schedules.set(Wish("ada", "digest", cron))
    wakes = await instants_of(place, await place.applied(), since, until)
    diary = await lived(place, wakes, since, until)
    slots = owed(zone, cron, since, until)
    rows = [row for row in await place.rows() if row.due_at <= until - LATEST]
    return slots, wakes, diary, rows


@pytest.mark.parametrize(("zone", "cron", "day"), CASES, ids=[f"{zone} {cron}" for zone, cron, _ in CASES])
async def test_each_slot_around_a_clock_change_is_performed_once_and_in_time(prefect_server, tmp_path, zone, cron, day):
    async with deployed(prefect_server, f"sqlite+aiosqlite:///{tmp_path}/gda.db") as place:
        slots, wakes, diary, rows = await woken_by_prefect(place, zone, cron, day)

    assert wakes, "Prefect wakes at no instant"
    assert len(slots) >= 3
    assert {(row.slot, row.due_at) for row in rows} == {(slot.name, slot.due_at) for slot in slots}
    ended = {row.slot: row.status for row in rows}
    assert ended == {slot.name: Status.SKIPPED if slot.merged_into else Status.DONE for slot in slots}
    late = {slot.name: when - slot.due_at for slot in slots for name, when in diary.performed if name == slot.name}
    assert {name: wait for name, wait in late.items() if not timedelta(0) <= wait <= LATEST} == {}
    names = [name for name, _ in diary.performed]
    assert sorted(set(names)) == sorted(names)


async def test_prefects_own_instants_are_not_the_slots_so_the_ledger_must_decide(prefect_server, tmp_path):
    """An hour early in New York's gap, at midnight of the day before in Cairo's: Prefect 3.8.8 on Python 3.11 and 3.12.

    On Python 3.13, and with 3.9.1, it no longer reckons with pendulum, and wakes at GDA's own instants.
    """
    version = tuple(int(part) for part in prefect.__version__.split(".")[:2])
    is_wrong = version < (3, 9) and sys.version_info < (3, 13)
    for number, (zone, cron, day) in enumerate((CASES[0], CASES[4])):
        async with deployed(prefect_server, f"sqlite+aiosqlite:///{tmp_path}/{number}.db") as place:
            since, until = around(zone, day)
            await place.store.users.add("ada@example.org", timezone=zone)
            await place.store.schedules.set(Wish("ada", "digest", cron))
            wakes = await instants_of(place, await place.applied(), since, until)
        due = {slot.due_at for slot in owed(zone, cron, since, until)}

        assert bool(due - set(wakes)) == is_wrong, f"Prefect {prefect.__version__} in {zone}: wakes at {wakes}"
