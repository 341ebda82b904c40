"""The effect journal: intent before an outward step, confirmation after it, a refusal where it is known not to be done.

All verbs are guarded by the claim's fence and shared through group commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from sqlalchemy import and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Claim
from gda.store.claims import holders, lost
from gda.store.conditions import IDS, Among
from gda.store.group_commit import GroupCommit
from gda.store.records import Effect
from gda.store.tables import effects

SEND = "send"
"""The step of a mail: the only one of most occurrences."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done: ``reference`` names it (a Message-ID), ``content`` is what later attempts send it from.

    Of mail that is the window by ids, never text.

    ``busy`` is how long it may take; nobody takes the occurrence over before it has passed.
    """

    claim: Claim
    reference: str
    busy: timedelta
    content: dict[str, Any] = field(default_factory=dict)
    step: str = SEND


@dataclass(frozen=True, slots=True)
class Refusal:
    """A step that is known not to have happened."""

    claim: Claim
    step: str = SEND


@dataclass(frozen=True, slots=True)
class Receipt:
    """A step that is known to have happened, and what the provider called it."""

    claim: Claim
    provider_reference: str
    step: str = SEND


class Effects:
    """The effect journal of one database."""

    def __init__(self, *, writes: GroupCommit) -> None:
        self._write = writes

    async def intend(self, intent: Intent) -> Effect:
        """Write an intent, or renew its ``busy`` time when this step has one already. Raises ClaimLost."""
        return await self._write(_intend, intent)

    async def refuse(self, refusal: Refusal) -> None:
        """Write that the step is known not to have happened, so that nobody needs to ask before the next try."""
        await self._write(_refuse, refusal)

    async def confirm(self, receipt: Receipt) -> None:
        """Write that the step happened. Raises ClaimLost."""
        await self._write(confirm_steps, receipt)


async def journal_of(connection: AsyncConnection, occurrence_ids: Sequence[str]) -> dict[tuple[str, str], Effect]:
    """The steps of some occurrences, by occurrence and step."""
    if not occurrence_ids:
        return {}
    rows = await connection.execute(_JOURNAL, {"ids": list(occurrence_ids)})
    return {(row.occurrence_id, row.step): Effect(*_values(row)) for row in rows.all()}


async def confirm_steps(
    connection: AsyncConnection, receipts: Sequence[Receipt], now: datetime
) -> list[Exception | None]:
    """Confirm steps; ``ClaimLost`` for those whose claim is no longer held."""
    kept = await _held(connection, receipts)
    if kept:
        await connection.execute(_CONFIRM, [_confirmation(receipt, now) for receipt in kept.values()])
    return [None if _among(kept, receipt) else lost(receipt.claim) for receipt in receipts]


async def _intend(connection: AsyncConnection, intents: Sequence[Intent], now: datetime) -> list[Effect | Exception]:
    kept = await _held(connection, intents)
    ids = [occurrence_id for occurrence_id, _ in kept]
    journal = await journal_of(connection, ids)
    new = {key: _row(intent, now) for key, intent in kept.items() if key not in journal}
    again = [_reopening(intent, now) for key, intent in kept.items() if key in journal]
    if new:
        await connection.execute(_INTEND, list(new.values()))
        journal |= {key: _written(row) for key, row in new.items()}
    if again:
        await connection.execute(_REOPEN, again)
        journal |= await journal_of(connection, ids)
    return [journal[_key(intent)] if _among(kept, intent) else lost(intent.claim) for intent in intents]


async def _refuse(connection: AsyncConnection, refusals: Sequence[Refusal], now: datetime) -> list[Exception | None]:
    kept = await _held(connection, refusals)
    if kept:
        values = [{"b_id": key[0], "b_step": key[1], "b_fence": each.claim.fence} for key, each in kept.items()]
        await connection.execute(_REFUSE, values)
    return [None for _ in refusals]


class _OfAStep(Protocol):
    @property
    def claim(self) -> Claim: ...

    @property
    def step(self) -> str: ...


_Item = TypeVar("_Item", bound=_OfAStep)


def _key(item: _OfAStep) -> tuple[str, str]:
    return item.claim.occurrence.id, item.step


async def _held(connection: AsyncConnection, items: Sequence[_Item]) -> dict[tuple[str, str], _Item]:
    """Those whose claim is still held, by occurrence and step."""
    mine = await holders(connection, [item.claim for item in items])
    return {_key(item): item for item in items if (item.claim.occurrence.id, item.claim.fence) in mine}


def _among(kept: Mapping[tuple[str, str], _OfAStep], item: _OfAStep) -> bool:
    """Whether ``item`` is held; a late writer may stand in one group with whoever took its occurrence over."""
    holder = kept.get(_key(item))
    return holder is not None and holder.claim.fence == item.claim.fence


_JOURNAL = select(effects).where(Among(effects.c.occurrence_id, IDS))
_INTEND = insert(effects)
_OPEN = and_(
    effects.c.occurrence_id == bindparam("b_id"), effects.c.step == bindparam("b_step"), effects.c.state != "confirmed"
)

# The first intent's content stays: a retry must send what was promised first, not what it would find now.
_REOPEN = (
    update(effects)
    .where(_OPEN)
    .values(state="intent", fence=bindparam("b_fence"), intent_at=bindparam("b_now"), busy_until=bindparam("b_busy"))
)

_REFUSE = update(effects).where(_OPEN, effects.c.fence == bindparam("b_fence")).values(state="refused")

_CONFIRM = (
    update(effects)
    .where(_OPEN)
    .values(
        state="confirmed",
        fence=bindparam("b_fence"),
        confirmed_at=bindparam("b_now"),
        provider_reference=bindparam("b_provider_reference"),
    )
)
_values = attrgetter(*Effect.__dataclass_fields__)


def _row(intent: Intent, now: datetime) -> dict[str, Any]:
    return {
        "occurrence_id": intent.claim.occurrence.id,
        "step": intent.step,
        "state": "intent",
        "fence": intent.claim.fence,
        "reference": intent.reference,
        "content": intent.content,
        "intent_at": now,
        "busy_until": now + intent.busy,
    }


def _written(row: Mapping[str, Any]) -> Effect:
    """What reading a new row would give."""
    given: dict[str, Any] = {name: row.get(name) for name in Effect.__dataclass_fields__}
    return Effect(**given)


def _reopening(intent: Intent, now: datetime) -> dict[str, Any]:
    return {
        "b_id": intent.claim.occurrence.id,
        "b_step": intent.step,
        "b_fence": intent.claim.fence,
        "b_now": now,
        "b_busy": now + intent.busy,
    }


def _confirmation(receipt: Receipt, now: datetime) -> dict[str, Any]:
    return {
        "b_id": receipt.claim.occurrence.id,
        "b_step": receipt.step,
        "b_fence": receipt.claim.fence,
        "b_now": now,
        "b_provider_reference": receipt.provider_reference[:255],
    }
