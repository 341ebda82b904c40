"""Dead letters come into being here, in the transaction that ends the last attempt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import DeadReason, Failure
from gda.store.tables import attempts, dead_letters
from gda.store.upserts import upsert


@dataclass(frozen=True, slots=True)
class Death:
    """An occurrence that gives up: which, why, and the error behind it where there was one."""

    occurrence_id: str
    kind: str
    why: DeadReason
    reason: str
    failure: Failure | None = None
    told: bool = False
    """Whether the caller tells the kind's hooks of it; else the news waits (``gda/store/untold.py``)."""


def fingerprint(kind: str, why: DeadReason, failure: Failure | None) -> str:
    """What deaths of one cause have in common: kind, reason, error class and the innermost place, as 16 hex digits."""
    places = failure.traceback.splitlines() if failure else []
    parts = (kind, why, failure.error_class if failure else "", places[-1] if places else "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


async def bury(connection: AsyncConnection, deaths: Sequence[Death], now: datetime) -> None:
    """Write the dead letter of each death; one that died before, and was replayed, gets its letter opened again."""
    if not deaths:
        return
    first = select(attempts.c.occurrence_id, attempts.c.message).where(
        attempts.c.occurrence_id.in_([death.occurrence_id for death in deaths]), attempts.c.error_class.is_not(None)
    )
    first_errors: dict[str, str] = {}
    for row in await connection.execute(first.order_by(attempts.c.number)):
        first_errors.setdefault(row.occurrence_id, row.message)
    rows = [
        {
            "occurrence_id": death.occurrence_id,
            "reason": death.why,
            "first_error": first_errors.get(death.occurrence_id, death.reason),
            "last_error": death.reason,
            "error_class": death.failure.error_class if death.failure else "",
            "fingerprint": fingerprint(death.kind, death.why, death.failure),
            "created_at": now,
            "closed_at": None,
            "closed_as": None,
            "announced_at": None,
            "told_at": now if death.told else None,
        }
        for death in deaths
    ]
    await connection.execute(upsert(connection, dead_letters, keep=("replays",)), rows)
