"""Settle: write how attempts ended, each write guarded by status and fence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import SETTLED, Claim, Settlement, Status
from gda.store.burial import Death, bury
from gda.store.claims import holders, lost
from gda.store.conditions import IDS, Among, alike
from gda.store.tables import attempts, occurrences


@dataclass(frozen=True, slots=True)
class Ending:
    """One attempt's end: whose, which, and what follows."""

    claim: Claim
    number: int
    settlement: Settlement


async def settle(connection: AsyncConnection, endings: Sequence[Ending], now: datetime) -> list[Exception | None]:
    """Write ``endings`` in the caller's transaction, a dead letter together with the death it tells of.

    Returns:
        For each ending None, or ``ClaimLost`` when somebody else holds the occurrence now.
    """
    mine = await holders(connection, [ending.claim for ending in endings])
    kept = [ending for ending in endings if (ending.claim.occurrence.id, ending.claim.fence) in mine]
    if kept:
        await connection.execute(_END_ATTEMPT, alike((_id(e), _attempt_values(e, now)) for e in kept))
        leaving = [ending for ending in kept if ending.settlement.status is not Status.RUNNING]
        staying = [ending for ending in kept if ending.settlement.status is Status.RUNNING]
        if leaving:
            await connection.execute(_LEAVE, alike((_id(e), _occurrence_values(e, now)) for e in leaving))
        if staying:
            await connection.execute(_BURN, alike((_id(e), {"b_fence": e.claim.fence}) for e in staying))
        if dying := [ending for ending in kept if ending.settlement.status is Status.DEAD]:
            await bury(connection, [_death(ending) for ending in dying], now)
    return [None if (e.claim.occurrence.id, e.claim.fence) in mine else lost(e.claim) for e in endings]


def _id(ending: Ending) -> str:
    return ending.claim.occurrence.id


_GUARD = (
    Among(occurrences.c.id, IDS),
    occurrences.c.fence == bindparam("b_fence"),
    occurrences.c.status == Status.RUNNING,
)

_LEAVE = (
    update(occurrences)
    .where(*_GUARD)
    .values(
        status=bindparam("b_status"),
        reason=bindparam("b_reason"),
        burnt=occurrences.c.burnt + bindparam("b_burns"),
        ready_at=func.coalesce(bindparam("b_ready_at", type_=occurrences.c.ready_at.type), occurrences.c.ready_at),
        finished_at=bindparam("b_finished_at"),
        suspect=False,
        lease_owner=None,
        lease_expires_at=None,
    )
)

_BURN = update(occurrences).where(*_GUARD).values(burnt=occurrences.c.burnt + 1)

_END_ATTEMPT = (
    update(attempts)
    .where(Among(attempts.c.occurrence_id, IDS), attempts.c.number == bindparam("b_number"))
    .values(
        ended_at=bindparam("b_ended_at"),
        outcome=bindparam("b_outcome"),
        error_class=bindparam("b_error_class"),
        message=bindparam("b_message"),
        traceback=bindparam("b_traceback"),
    )
)


def _attempt_values(ending: Ending, now: datetime) -> dict[str, Any]:
    failure = ending.settlement.failure
    return {
        "b_number": ending.number,
        "b_ended_at": now,
        "b_outcome": ending.settlement.attempt_outcome,
        "b_error_class": failure.error_class if failure else None,
        "b_message": failure.message if failure else ending.settlement.reason,
        "b_traceback": failure.traceback if failure else None,
    }


def _occurrence_values(ending: Ending, now: datetime) -> dict[str, Any]:
    settlement = ending.settlement
    return {
        "b_fence": ending.claim.fence,
        "b_status": settlement.status,
        "b_reason": settlement.reason,
        "b_burns": int(settlement.burns),
        "b_ready_at": settlement.ready_at,
        "b_finished_at": now if settlement.status in SETTLED else None,
    }


def _death(ending: Ending) -> Death:
    settlement, occurrence = ending.settlement, ending.claim.occurrence
    assert settlement.dead_reason is not None
    return Death(
        occurrence.id, occurrence.kind, settlement.dead_reason, settlement.reason, settlement.failure, told=True
    )
