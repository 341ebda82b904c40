"""What telling a user of something needs to know before it begins: who, how, and which channels have it already."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import GdaError
from gda.lifecycle import Claim
from gda.store.conditions import IDS, Among
from gda.store.effects import journal_of
from gda.store.group_commit import GroupCommit
from gda.store.notify_preferences import Preference, PushSubscription, preference_from, subscription_from
from gda.store.notify_tables import held_notices, notify_preferences, push_subscriptions
from gda.store.records import Effect, User
from gda.store.tables import dead_letters, users


@dataclass(frozen=True, slots=True)
class Asked:
    """Under which claim somebody wants to tell which user of which cause."""

    claim: Claim
    user_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class NoticeErrand:
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


class NoticeErrands:
    """The notices' errands of one database; reads are shared through group commits."""

    def __init__(self, *, reads: GroupCommit) -> None:
        self._read = reads

    async def errand(self, asked: Asked) -> NoticeErrand:
        """Read user, preferences and journal. Raises GdaError when the user is gone."""
        return await self._read(read_errands, asked)


_PEOPLE = select(*(users.c[name] for name in User.__dataclass_fields__)).where(Among(users.c.id, IDS))
_PREFERENCES = select(notify_preferences).where(Among(notify_preferences.c.user_id, IDS))
_BROWSERS = (
    select(push_subscriptions)
    .where(Among(push_subscriptions.c.user_id, IDS))
    .order_by(push_subscriptions.c.created_at, push_subscriptions.c.id)
)
_REPLAYED = select(dead_letters.c.occurrence_id, dead_letters.c.closed_at).where(
    Among(dead_letters.c.occurrence_id, IDS), dead_letters.c.closed_as == "replayed"
)
_HELD = select(held_notices.c.user_id, held_notices.c.cause).where(
    Among(held_notices.c.user_id, IDS), Among(held_notices.c.cause, bindparam("causes", type_=IDS.type))
)


async def read_errands(
    connection: AsyncConnection, several: Sequence[Asked], now: datetime
) -> list[NoticeErrand | Exception]:
    """For each who asks the errand, or an error where the user is gone."""
    ids = {"ids": sorted({one.user_id for one in several})}
    causes = {"causes": sorted({one.cause for one in several})}
    people = {row[0]: User(*row) for row in await connection.execute(_PEOPLE, ids)}
    chosen = {row.user_id: preference_from(row) for row in await connection.execute(_PREFERENCES, ids)}
    browsers = await _browsers(connection, list(chosen))
    steps: dict[str, dict[str, Effect]] = defaultdict(dict)
    journal = await journal_of(connection, [one.claim.occurrence.id for one in several])
    for (occurrence_id, step), effect in journal.items():
        steps[occurrence_id][step] = effect
    replayed = await _replayed(connection, list(steps))
    held = {(row.user_id, row.cause) for row in await connection.execute(_HELD, ids | causes)}
    return [
        NoticeErrand(
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


async def _browsers(connection: AsyncConnection, user_ids: Sequence[str]) -> Mapping[str, list[PushSubscription]]:
    """The subscriptions of users who have chosen how to be told: nobody else is told through a browser."""
    found: dict[str, list[PushSubscription]] = defaultdict(list)
    if user_ids:
        for row in await connection.execute(_BROWSERS, {"ids": user_ids}):
            found[row.user_id].append(subscription_from(row))
    return found


async def _replayed(connection: AsyncConnection, occurrence_ids: Sequence[str]) -> Mapping[str, datetime]:
    """When a person last asked again for occurrences that have a journal; without one it makes no difference."""
    if not occurrence_ids:
        return {}
    rows = await connection.execute(_REPLAYED, {"ids": occurrence_ids})
    return {row.occurrence_id: row.closed_at for row in rows}
