"""Who lives where, what they ask for and what they change; all of it follows from a seed."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gda.store import Wish

ZONES = (
    *("Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll"),
    *("Europe/London", "Europe/Dublin", "Europe/Berlin", "Europe/Chisinau", "Atlantic/Azores"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/St_Johns"),
    *("America/Havana", "America/Santiago", "Pacific/Easter", "America/Asuncion", "America/Sao_Paulo"),
    *("America/Nuuk", "America/Scoresbysund", "America/Miquelon", "America/Phoenix", "America/Caracas"),
    *("Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem", "Asia/Tehran", "Asia/Kathmandu"),
    *("Asia/Kolkata", "Asia/Tokyo", "Asia/Shanghai", "Africa/El_Aaiun", "Africa/Johannesburg"),
    *("Australia/Sydney", "Pacific/Norfolk", "Pacific/Chatham", "Pacific/Kiritimati", "UTC"),
)
"""Forty: gaps at midnight, at 01:00 and 24:00, half and two hours wide, winter time in summer, and none at all."""

LINES: dict[str, str | timedelta] = {
    "daily 07:30": "30 7 * * *",
    "weekdays 08:00": "0 8 * * 1-5",
    "weekly mon,thu 09:15": "15 9 * * 1,4",
    "30 2 * * 0,5": "30 2 * * 0,5",
    "30 1,2,3 * * 0": "30 1,2,3 * * 0",
    "weekly sat 00:00": "0 0 * * 6",
    "weekly fri,sun 00:00": "0 0 * * 0,5",
    "monthly 1 09:00": "0 9 1 * *",
    "monthly last 23:30": "30 23 L * *",
    "15 6 1,30 * *": "15 6 1,30 * *",
    "every 12 hours": timedelta(hours=12),
    "every 28 hours": timedelta(hours=28),
}
"""What people ask for, as they spell it, and the cron line or period that the oracle reads; and ``once`` besides."""
ONCE = "once "
_WEIGHTS = (15, 20, 22, 10, 8, 5, 5, 6, 5, 4, 2, 1)
_LINES_OF_A_ZONE = 5
_CATCH_UP = ("latest", "latest", "latest", "all", "none")
SPREAD = timedelta(minutes=30)
_WORTH = timedelta(hours=2)
_VERBS = {
    "live": {"set": 30, "move": 25, "pause": 12, "remove": 6, "leave": 8, "stop": 8},
    "stopped": {"go": 8, "set": 2, "move": 1, "remove": 1},
    "paused": {"resume": 8, "set": 2, "move": 1},
    "removed": {"set": 1},
    "away": {"return": 1},
}
_THEN = {"pause": "paused", "resume": "live", "remove": "removed", "leave": "away", "return": "live"}
_THEN |= {"stop": "stopped", "go": "live"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user wants, in the words of a schedule."""

    spelling: str
    catch_up: str
    overlap: str
    spread: timedelta
    expire_after: timedelta | None

    @property
    def has_deployment(self) -> bool:
        """Whether cron can say it; the sweep alone serves what it cannot."""
        return not self.spelling.startswith((ONCE, "every 28"))

    def of(self, user: str, kind: str) -> Wish:
        """As the store is told."""
        return Wish(
            user,
            kind,
            self.spelling,
            catch_up=self.catch_up,
            overlap=self.overlap,
            spread=self.spread,
            expire_after=self.expire_after,
        )


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a user did: at which instant (aware), and what zone and wish are from then on."""

    at: datetime
    user: str
    verb: str
    zone: str
    asked: Asked


def arrivals(rng: random.Random, users: int, zones: tuple[str, ...], at: datetime, prefix: str) -> list[Deed]:
    """The users as they come, each with a first wish."""
    names = (f"{prefix}{number:04}" for number in range(users))
    homes = ((name, zones[n % len(zones)]) for n, name in enumerate(names))
    return [Deed(at, name, "join", zone, _asked(rng, at, zone)) for name, zone in homes]


def deeds(
    rng: random.Random, joined: list[Deed], zones: tuple[str, ...], since: datetime, days: int, per_day: float
) -> list[Deed]:
    """What the users change later, in order of time; on two days of five, within two hours of each.

    ``stop`` and ``go`` are said in Prefect: a user pauses a deployment and lets it run again. Who is away returns two
    hours before the end: only then is it decided what becomes of what was missed.
    """
    now = {deed.user: deed for deed in joined}
    state = dict.fromkeys(now, "live")
    made: list[Deed] = []
    for day in range(days):
        if rng.random() < 0.4:
            moment = since + timedelta(days=day, hours=rng.randrange(22))
            for at in _moments(rng, moment, round(per_day * 2.5 * rng.random() * 2)):
                user = rng.choice(sorted(now))
                verbs = _VERBS[state[user]]
                verb = rng.choices(list(verbs), list(verbs.values()))[0]
                now[user] = _deed(rng, now[user], at, verb, zones)
                # A new wish wakes whom a pause of GDA's own put to sleep, but not what is paused in Prefect.
                stays = verb == "move" or state[user] == "stopped"
                state[user] = _THEN.get(verb, state[user] if stays else "live")
                made.append(now[user])
    back = since + timedelta(days=days, hours=-2)
    made = [deed for deed in made if deed.at < back]
    last = {deed.user: deed for deed in made}
    return made + [replace(last[user], at=back, verb="return") for user in last if last[user].verb == "leave"]


def _moments(rng: random.Random, start: datetime, number: int) -> list[datetime]:
    # One in three falls on the very instant of a quarter of an hour, where many slots are due.
    seconds = (s if rng.random() < 0.67 else s // 900 * 900 for s in rng.sample(range(7200), max(number, 1)))
    return [start + timedelta(seconds=second) for second in sorted(seconds)]


def _deed(rng: random.Random, old: Deed, at: datetime, verb: str, zones: tuple[str, ...]) -> Deed:
    if verb == "move":
        return replace(old, at=at, verb=verb, zone=rng.choice(zones))
    if verb == "set":
        return replace(old, at=at, verb=verb, asked=_asked(rng, at, old.zone))
    return replace(old, at=at, verb=verb)


def _asked(rng: random.Random, at: datetime, zone: str) -> Asked:
    """A wish; the people of one zone ask for five of the lines, so that cohorts have members as real ones have."""
    turn = ZONES.index(zone)
    lines, weights = list(LINES) * 2, _WEIGHTS * 2
    own = slice(turn % len(LINES), turn % len(LINES) + _LINES_OF_A_ZONE)
    spelling = rng.choices(lines[own], weights[own])[0]
    if rng.random() < 0.03:
        local = at.replace(hour=rng.randrange(24), minute=rng.choice((0, 30)), second=0, microsecond=0, tzinfo=None)
        spelling = f"{ONCE}{local + timedelta(days=rng.randrange(2, 30)):%Y-%m-%dT%H:%M}"
    return Asked(
        spelling=spelling,
        catch_up=rng.choice(_CATCH_UP),
        overlap=rng.choice(("skip", "queue")),
        spread=SPREAD if rng.random() < 0.04 else timedelta(0),
        expire_after=_WORTH if rng.random() < 0.1 else None,
    )
