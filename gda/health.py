"""Health: is the database there, is work being done, does somebody have to look?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gda.errors import GdaError
from gda.settings import Settings
from gda.store import Store, open_store
from gda.store.stats import Pulse
from gda.sweep import LEASE

OVERDUE = timedelta(minutes=5)
"""Five sweeps: what one sweep missed the next repairs, so this long means that nobody sweeps or performs."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question: its name, whether the answer is good, and the answer."""

    name: str
    ok: bool
    detail: str


async def check_health(settings: Settings) -> list[Check]:
    """Ask everything; a database that cannot be used is an answer, not an error.

    Args:
        settings: which database; whether the sweep is on.

    Returns:
        The checks; healthy means that all are ok.
    """
    try:
        async with open_store(settings) as store:
            now, pulse = await store.ledger.now(), await store.stats.pulse()
            return [
                Check("database and schema", True, "up to date"),
                *judge(pulse, now),
                await _sweep(store, settings, now),
            ]
    except (GdaError, OSError) as error:
        return [Check("database and schema", False, str(error))]


def judge(pulse: Pulse, now: datetime) -> list[Check]:
    """What the ledger's pulse means at ``now`` (aware, the database's); open dead letters wait for a person only."""
    waits = now - pulse.oldest_ready_at if pulse.oldest_ready_at else timedelta(0)
    return [
        Check("leases overdue", pulse.leases_overdue == 0, str(pulse.leases_overdue)),
        Check("oldest waiting", waits <= OVERDUE, f"{waits.total_seconds():.0f} s"),
        Check("dead letters open", True, str(pulse.dead_letters_open)),
    ]


async def _sweep(store: Store, settings: Settings, now: datetime) -> Check:
    lease = await store.leases.find(LEASE)
    if not settings.sweep_enabled:
        return Check("last sweep", True, "switched off by GDA_SWEEP_ENABLED")
    if lease is None:
        return Check("last sweep", False, "never; `gda apply --system` deploys it")
    ago = max(now - lease.expires_at, timedelta(0))
    ok = ago <= OVERDUE
    hint = "" if ok else "; is a worker of the system pool running?"
    return Check("last sweep", ok, f"{ago.total_seconds():.0f} s ago{hint}")
