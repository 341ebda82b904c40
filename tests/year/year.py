"""One half of a year, or a small one: who lives in it, when its outage is, and what the oracle says in the end."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from gda.settings import Settings
from gda.store import make_store
from tests.builders import VirtualClock
from tests.oracle.brute import changes, zone_of
from tests.year.engine import a_quick_database
from tests.year.oracle import Oracle, Span, by_user, terms
from tests.year.people import ZONES, Deed, arrivals, deeds
from tests.year.prefect import Deployments
from tests.year.world import World

OUTAGE = timedelta(days=3)
DAY = timedelta(days=1)
UNAPPLIED = timedelta(hours=4)
"""How long a wish may be without its deployment, and a little more."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is simulated; ``part`` of ``parts`` has its share of the users and of the zones."""

    users: int = 1000
    days: int = 365
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    part: int = 0
    parts: int = 1
    seed: int = 1
    edits: float = 0.01
    """Of one user on one day."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How a simulation ended: figures, the hash of its log, and what the oracle found wrong."""

    figures: Counter[str]
    log: str
    wrong: tuple[str, ...]


async def live(amount: Amount) -> Judged:
    """Simulate, then judge every slot of every user."""
    rng = random.Random(f"{amount.seed}/{amount.part}")
    zones, until = ZONES[amount.part :: amount.parts], amount.since + amount.days * DAY
    joined = arrivals(rng, amount.users // amount.parts, zones, amount.since, f"u{amount.part}-")
    log = joined + deeds(rng, joined, zones, amount.since, amount.days, amount.users / amount.parts * amount.edits)
    log = [deed for deed in log if deed.at < until]
    away = amount.since + amount.days * DAY * rng.uniform(0.3, 0.6)
    outage = Span(away.replace(microsecond=0), away.replace(microsecond=0) + OUTAGE)
    clock = VirtualClock(amount.since)
    begun, cpu = time.monotonic(), time.process_time()
    settings = Settings(layout="cohort")
    async with a_quick_database(clock) as database:
        store = make_store(database, settings)
        world = World(store, clock, settings, rng, until, outage, Deployments(settings))
        excused = Span(outage.since - timedelta(minutes=30), outage.until + timedelta(minutes=30))
        oracle = Oracle(amount.since, until, [excused])
        _arrange(world, log, amount)
        _sweep_where_needed(world, log, oracle, amount.since)
        digest = await world.run()
        lived = time.monotonic()
        owed, wrong = oracle.judge(log, rows := await world.rows())
    figures = world.figures
    figures["slots owed"], figures["rows"] = owed, sum(map(len, rows.values()))
    figures["rows done"] = sum(row.status == "done" for own in rows.values() for row in own)
    figures["rows refused"] = figures["rows"] - figures["rows done"]
    figures["seconds lived"], figures["seconds judged"] = round(lived - begun), round(time.monotonic() - lived)
    figures["seconds of CPU"] = round(time.process_time() - cpu)
    return Judged(figures, digest, tuple(wrong))


def lived(amount: Amount) -> Judged:
    """As ``live``, in a process of its own."""
    return asyncio.run(live(amount))


def _arrange(world: World, log: list[Deed], amount: Amount) -> None:
    """Put into the calendar what is known beforehand: deeds, applies soon after them, and what comes once a week."""
    for deed in log:
        world.deed(deed)
        world.sweep_after(deed.at)
    world.at(amount.since, "apply", world.apply)
    for at in sorted({deed.at.replace(minute=0, second=0) + timedelta(hours=2) for deed in log}):
        world.at(at + timedelta(seconds=world.rng.randrange(3600)), "apply", world.apply)
    for week in range(1, amount.days, 7):
        world.at(amount.since + week * DAY + timedelta(hours=3), "apply", lambda: world.apply(prune=True))
        world.at(amount.since + week * DAY + timedelta(hours=4), "replay", world.replay)
    world.sweep_after(world.outage.until, timedelta(hours=6))


def _sweep_where_needed(world: World, log: list[Deed], oracle: Oracle, since: datetime) -> None:
    """Sweep after slots that may have no wake-up, or one at a wrong time; the others come out right without.

    That are those of a wish that cron cannot say, or that has no deployment yet, and those around a clock change.
    """
    moments = cache(lambda zone: [at for at, _, _ in changes(zone_of(zone), since - DAY, world.until + DAY)])
    for own in by_user(log).values():
        for term in terms(own, world.until):
            for slot in oracle.due(term):
                fresh = slot.due_at < term.since + UNAPPLIED or not term.asked.has_deployment
                if fresh or any(abs(slot.due_at - at) < DAY for at in moments(term.zone)):
                    world.sweep_after(slot.due_at, term.asked.spread)
