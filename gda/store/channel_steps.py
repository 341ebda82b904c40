"""The effect journal of notices: one step for each channel, so that each is told once and fails alone.

All verbs are guarded by the claim's fence and shared through group commits.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import GdaError
from gda.lifecycle import Claim
from gda.store.claims import holders, lost
from gda.store.conditions import IDS, Among
from gda.store.group_commit import GroupCommit
from gda.store.notify_preferences import Preference, PushSubscription, preference_from, subscription_from
from gda.store.notify_tables import held_notices, notify_preferences, push_subscriptions
from gda.store.records import Effect, User
from gda.store.tables import dead_letters, effects, users


@dataclass(frozen=True, slots=True)
class Asked:
    """Under which claim somebody wants to tell which user of which cause."""

    claim: Claim
    user_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class Standing:
    """All that telling a user needs to know, read at ``now`` (aware, by the store's clock).

    ``steps`` is the journal by step; ``held``: the notice waits, or waited, for the end of quiet hours;
    ``replayed_at``: when a person last asked for the occurrence again.
    """

    now: datetime
    user: User
    preference: Preference | None
    subscriptions: tuple[PushSubscription, ...]
    steps: Mapping[str, Effect]
    held: bool
    replayed_at: datetime | None

    def settled(self, step: str) -> bool:
        """Whether the step is known to have happened."""
        return step in self.steps and self.steps[step].state == "confirmed"

    def doubtful(self, step: str) -> Effect | None:
        """The step's intent whose outcome nobody wrote, unless a person has asked for the occurrence again since."""
        found = self.steps.get(step)
        if found is None or found.state != "intent":
            return None
        return None if self.replayed_at is not None and self.replayed_at > found.intent_at else found


@dataclass(frozen=True, slots=True)
class Step:
    """One channel of an occurrence about to be used: ``reference`` names what is sent, ``busy`` is the longest send."""

    claim: Claim
    step: str
    reference: str
    busy: timedelta


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that is known to have happened, and what the provider called it."""

    claim: Claim
    step: str
    provider_reference: str


class ChannelSteps:
    """The journal of one database."""

    def __init__(self, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._write = writes
        self._read = reads

    async def standing(self, asked: Asked) -> Standing:
        """Read user, preferences and journal. Raises GdaError when the user is gone."""
        return await self._read(_standings, asked)

    async def intend(self, step: Step) -> None:
        """Write that a channel is about to be used. Raises ClaimLost."""
        await self._write(_intend, step)

    async def refuse(self, done: StepDone) -> None:
        """Write that the step is known not to have happened."""
        await self._write(_refuse, done)

    async def confirm(self, done: StepDone) -> None:
        """Write that the step happened. Raises ClaimLost."""
        await self._write(_confirm, done)


_PEOPLE = select(users).where(Among(users.c.id, IDS))
_PREFERENCES = select(notify_preferences).where(Among(notify_preferences.c.user_id, IDS))
_BROWSERS = (
    select(push_subscriptions)
    .where(Among(push_subscriptions.c.user_id, IDS))
    .order_by(push_subscriptions.c.created_at, push_subscriptions.c.id)
)
_JOURNAL = select(effects).where(Among(effects.c.occurrence_id, IDS))
_REPLAYED = select(dead_letters.c.occurrence_id, dead_letters.c.closed_at).where(
    Among(dead_letters.c.occurrence_id, IDS), dead_letters.c.closed_as == "replayed"
)
_HELD = select(held_notices.c.user_id, held_notices.c.cause).where(
    Among(held_notices.c.user_id, IDS), Among(held_notices.c.cause, bindparam("causes", type_=IDS.type))
)
_user_values = attrgetter(*User.__dataclass_fields__)
_effect_values = attrgetter(*Effect.__dataclass_fields__)


async def _standings(
    connection: AsyncConnection, several: Sequence[Asked], now: datetime
) -> list[Standing | Exception]:
    ids = {"ids": sorted({one.user_id for one in several})}
    claimed = {"ids": [one.claim.occurrence.id for one in several]}
    causes = {"causes": sorted({one.cause for one in several})}
    people = {row.id: User(*_user_values(row)) for row in await connection.execute(_PEOPLE, ids)}
    chosen = {row.user_id: preference_from(row) for row in await connection.execute(_PREFERENCES, ids)}
    browsers: dict[str, list[PushSubscription]] = defaultdict(list)
    for row in await connection.execute(_BROWSERS, ids):
        browsers[row.user_id].append(subscription_from(row))
    steps: dict[str, dict[str, Effect]] = defaultdict(dict)
    for row in await connection.execute(_JOURNAL, claimed):
        steps[row.occurrence_id][row.step] = Effect(*_effect_values(row))
    replayed = {row.occurrence_id: row.closed_at for row in await connection.execute(_REPLAYED, claimed)}
    held = {(row.user_id, row.cause) for row in await connection.execute(_HELD, ids | causes)}
    return [
        Standing(
            now=now,
            user=people[one.user_id],
            preference=chosen.get(one.user_id),
            subscriptions=tuple(browsers.get(one.user_id, ())),
            steps=steps.get(one.claim.occurrence.id, {}),
            held=(one.user_id, one.cause) in held,
            replayed_at=replayed.get(one.claim.occurrence.id),
        )
        if one.user_id in people
        else GdaError(f"user {one.user_id!r} was removed before occurrence {one.claim.occurrence.id} could tell them")
        for one in several
    ]


async def _intend(connection: AsyncConnection, several: Sequence[Step], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, [one.claim for one in several])
    kept = [one for one in several if (one.claim.occurrence.id, one.claim.fence) in mine]
    rows = await connection.execute(_JOURNAL, {"ids": [one.claim.occurrence.id for one in kept]})
    known = {(row.occurrence_id, row.step) for row in rows}
    new = [_row(one, now) for one in kept if (one.claim.occurrence.id, one.step) not in known]
    again = [_reopening(one, now) for one in kept if (one.claim.occurrence.id, one.step) in known]
    if new:
        await connection.execute(insert(effects), new)
    if again:
        await connection.execute(_REOPEN, again)
    return [None if (one.claim.occurrence.id, one.claim.fence) in mine else lost(one.claim) for one in several]


async def _refuse(connection: AsyncConnection, several: Sequence[StepDone], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, [one.claim for one in several])
    kept = [one for one in several if (one.claim.occurrence.id, one.claim.fence) in mine]
    if kept:
        await connection.execute(_REFUSE, [{"b_id": one.claim.occurrence.id, "b_step": one.step} for one in kept])
    return [None for _ in several]


async def _confirm(connection: AsyncConnection, several: Sequence[StepDone], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, [one.claim for one in several])
    kept = [one for one in several if (one.claim.occurrence.id, one.claim.fence) in mine]
    if kept:
        await connection.execute(_CONFIRM, [_confirmation(one, now) for one in kept])
    return [None if (one.claim.occurrence.id, one.claim.fence) in mine else lost(one.claim) for one in several]


_OPEN = and_(
    effects.c.occurrence_id == bindparam("b_id"), effects.c.step == bindparam("b_step"), effects.c.state != "confirmed"
)
_REOPEN = (
    update(effects)
    .where(_OPEN)
    .values(state="intent", fence=bindparam("b_fence"), intent_at=bindparam("b_now"), busy_until=bindparam("b_busy"))
)
_REFUSE = update(effects).where(_OPEN).values(state="refused")
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


def _row(one: Step, now: datetime) -> dict[str, Any]:
    return {
        "occurrence_id": one.claim.occurrence.id,
        "step": one.step,
        "state": "intent",
        "fence": one.claim.fence,
        "reference": one.reference,
        "content": {},
        "intent_at": now,
        "busy_until": now + one.busy,
    }


def _reopening(one: Step, now: datetime) -> dict[str, Any]:
    return {
        "b_id": one.claim.occurrence.id,
        "b_step": one.step,
        "b_fence": one.claim.fence,
        "b_now": now,
        "b_busy": now + one.busy,
    }


def _confirmation(one: StepDone, now: datetime) -> dict[str, Any]:
    return {
        "b_id": one.claim.occurrence.id,
        "b_step": one.step,
        "b_fence": one.claim.fence,
        "b_now": now,
        "b_provider_reference": one.provider_reference[:255],
    }
