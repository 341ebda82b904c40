"""A hundred thousand users with a digest each: minutes over the whole day, many zones, three patterns of days."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from gda.store import Store, Wish
from tests.year.people import ZONES

PATTERNS = ("daily {time}", "weekdays {time}", "weekly sat,sun {time}")
MARKS = (0, 30)
"""The minutes that people like: half of them ask for one of these, the others for any minute of the day."""
KIND = "digest"
SEED = 4
TOGETHER = 5000


@dataclass(frozen=True, slots=True)
class Person:
    """A user: id, IANA zone, and what is asked for in the schedule language."""

    id: str
    timezone: str
    expression: str


def crowd(users: int, *, zones: Sequence[str] = ZONES, seed: int = SEED) -> list[Person]:
    """Make up ``users`` people; the same for the same ``seed``."""
    chance = random.Random(seed)
    return [Person(f"u{n}", chance.choice(zones), _expression(chance, marked=n % 2 == 0)) for n in range(users)]


async def settle(store: Store, people: Sequence[Person]) -> None:
    """Store them with their schedules, a few thousand in a transaction."""
    for start in range(0, len(people), TOGETHER):
        some = people[start : start + TOGETHER]
        await store.users.add_many([(one.id, f"{one.id}@example.org", one.timezone) for one in some])
        zones = {one.id: one.timezone for one in some}
        await store.schedules.add_many([Wish(one.id, KIND, one.expression) for one in some], zones)


def _expression(chance: random.Random, *, marked: bool) -> str:
    minute = chance.choice(MARKS) if marked else chance.randrange(60)
    time = f"{chance.randrange(24):02}:{minute:02}"
    return chance.choice(PATTERNS).format(time=time)
