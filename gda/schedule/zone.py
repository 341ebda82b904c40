"""Timezones from the pinned tzdata package, and the one rule that turns a time on the wall into an instant."""

import difflib
import importlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from gda.errors import InvalidSchedule

GAP = "gap"
FOLD = "fold"
MISSING_DAY = "missing-day"

_DAY = timedelta(days=1)
_UTC_NAMES = frozenset(
    prefix + name
    for prefix in ("", "Etc/")
    for name in ("UTC", "UCT", "GMT", "GMT0", "GMT+0", "GMT-0", "Zulu", "Universal", "Greenwich")
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """When a nominal local time is due (aware, UTC); ``note`` is empty, ``gap``, ``fold`` or ``missing-day``."""

    instant: datetime
    note: str


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every IANA name that the pinned tzdata package knows."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split()) - {"Factory"}


def tzdata_version() -> str:
    """The IANA release in use, such as ``2026f``: when it changes, ``next_due_at`` must be computed anew (DESIGN 5)."""
    return str(importlib.import_module("tzdata").IANA_VERSION)


def zone(name: str | ZoneInfo) -> ZoneInfo:
    """The timezone of that exact IANA name, read from the tzdata package even where the system has a copy.

    System data 2025b and tzdata 2026f differ by an hour in six zones (Vancouver among them), so one source must decide.
    A ZoneInfo is handed back as it is. Raises InvalidSchedule with the nearest names for anything else.
    """
    return name if isinstance(name, ZoneInfo) else _load(name)


@lru_cache(maxsize=1024)
def _load(name: str) -> ZoneInfo:
    if name not in zone_names():
        raise InvalidSchedule(_why_no_zone(name))
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def is_utc(name: str) -> bool:
    """Whether the name is one of UTC's own names, where local time never jumps."""
    return name in _UTC_NAMES


def _why_no_zone(name: str) -> str:
    if not name:
        return "timezone '' is empty: name one, such as Europe/Berlin or UTC"
    shown = name if len(name) <= 60 else name[:40] + "..."
    if any(sign in name for sign in "+-0123456789") and "/" not in name:
        return (
            f"timezone {shown!a} is an offset, and offsets know no summer time: "
            "name a place, such as Europe/Berlin, or UTC (IANA's own Etc/GMT-2 means two hours east)"
        )
    near = _nearest(name[:60])
    advice = f"did you mean {' or '.join(near)}?" if near else "name a place, such as Europe/Berlin or America/New_York"
    return f"timezone {shown!a} is no IANA name (capitals count): {advice}"


def _nearest(name: str) -> list[str]:
    folded = name.strip().lower().replace(" ", "_")
    whole = {known.lower(): known for known in sorted(zone_names())}
    if folded in whole:
        return [whole[folded]]
    cities: dict[str, str] = {}
    for known in sorted(zone_names()):
        if "/" in known and not known.startswith(("Etc/", "US/")):
            cities.setdefault(known.rpartition("/")[2].lower(), known)
    table = whole if "/" in folded else whole | cities
    found = [table[near] for near in difflib.get_close_matches(folded, table, n=3, cutoff=0.75)]
    return list(dict.fromkeys(found))


def resolve(local: datetime, tz: str | ZoneInfo) -> Resolved:
    """The instant of a nominal local time, on any Python and any Prefect (DESIGN 5).

    local: naive, as the clock on the wall would say. tz: an IANA name or a zone.
    A time that does not exist (``gap``) is due at the same elapsed position after the gap: 02:30 becomes 03:30. One
    that exists twice (``fold``) is due the first time. One on a day that does not exist (``missing-day``) is due
    late, on the next. RFC 5545 3.3.5 and Prefect's cron read it so too: it is one rule, the offset from before the
    change. pendulum reads both so as well (default fold in a gap, ``fold=0`` in a fold: tests/oracle), but takes its
    zones from the system's copy first and the second of two unless told, so it is not asked here.
    """
    place = zone(tz)
    # PEP 495: fold=0 answers with the offset before a change, fold=1 with the one after it.
    before = local.replace(tzinfo=place, fold=0).utcoffset() or timedelta()
    after = local.replace(tzinfo=place, fold=1).utcoffset() or timedelta()
    instant = (local - before).replace(tzinfo=UTC, fold=0)
    if after == before:
        return Resolved(instant, "")
    if after < before:
        return Resolved(instant, FOLD)
    return Resolved(instant, MISSING_DAY if after - before >= _DAY else GAP)
