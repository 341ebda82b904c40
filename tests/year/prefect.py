"""Prefect's part, played: deployments as the real plan makes them, woken by croniter with every fault there may be."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

from croniter import croniter

from deployments.cohorts import cohort_deployments
from deployments.plan import Existing, plan
from deployments.spec import KindSpec, ScheduleSpec
from gda.settings import Settings
from gda.store import Scope, Store
from tests.oracle.brute import zone_of

KIND = "digest"
KINDS = {KIND: KindSpec("digest", "flows.digest.deliver_digests", kind=KIND)}
FAULTS = {"on time": 900, "lost": 25, "twice": 25, "late": 25, "early": 15, "a minute early": 10}


@dataclass(slots=True)
class Planned:
    """A deployment's next wake-up: which one (title and schedule), in which life of the deployment."""

    title: str
    spec: ScheduleSpec
    life: int


@dataclass(slots=True)
class Deployments:
    """What has been applied; each life of a deployment has crons of its own."""

    settings: Settings
    there: dict[str, Existing] = field(default_factory=dict)
    _lives: Iterator[int] = field(default_factory=lambda: count(1))

    async def apply(self, store: Store, *, prune: bool) -> tuple[list[Planned], int, int]:
        """Do what the plan says; returns the wake-ups of what is new, and how many were made and deleted."""
        there = list(self.there)
        wanted = cohort_deployments(await store.cohorts.all(), KINDS, self.settings, there=there, keep_empty=not prune)
        todo = plan(wanted, self.there.values(), keep_empty=not prune)
        assert not todo.update, f"nobody changed a deployment by hand: {todo.update[0].changes}"
        for gone in todo.delete:
            del self.there[gone.spec.title]
        begun = []
        for spec in todo.create:
            life = next(self._lives)
            self.there[spec.title] = Existing(str(life), spec, {one.slug: one.slug for one in spec.schedules})
            begun += [Planned(spec.title, one, life) for one in spec.schedules if one.active]
        return begun, len(todo.create), len(todo.delete)

    def lives(self, planned: Planned) -> bool:
        """Whether the deployment is still the one for which this was planned."""
        one = self.there.get(planned.title)
        return one is not None and one.id == str(planned.life)

    def scope(self, title: str) -> Scope:
        """What a run of the deployment is for."""
        told = self.there[title].spec.parameters
        return Scope(KIND, expression=told["expression"], timezone=told["timezone"])

    def next(self, planned: Planned, after: datetime) -> datetime:
        """The instant that Prefect's cron gives, right or wrong, after one that it gave (UTC)."""
        spec, local = planned.spec, after.astimezone(_zone(planned.spec.timezone))
        found: datetime = croniter(spec.cron, local, day_or=spec.day_or).get_next(datetime).astimezone(UTC)
        while found <= after:  # In a repeated hour it may go in circles.
            local += timedelta(hours=1)
            found = croniter(spec.cron, local, day_or=spec.day_or).get_next(datetime).astimezone(UTC)
        return found


_zone = cache(zone_of)


def deliveries(rng: random.Random, due: datetime) -> tuple[str, list[datetime]]:
    """What becomes of a wake-up that Prefect means for ``due``: a fault's name and when runs really start."""
    fault = rng.choices(list(FAULTS), list(FAULTS.values()))[0]
    start = due + timedelta(seconds=rng.randrange(1, 20))
    match fault:
        case "lost":
            return fault, []
        case "twice":
            return fault, [start, due + timedelta(seconds=rng.randrange(1, 172_800))]
        case "late":
            return fault, [due + timedelta(seconds=rng.randrange(60, 10_800))]
        case "early":
            return fault, [due - timedelta(seconds=rng.randrange(91, 3601))]
        case "a minute early":
            return fault, [due - timedelta(seconds=rng.randrange(1, 91))]
    return fault, [start]
