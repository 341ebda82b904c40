"""What a mail to a user needs to know before it begins, and the cursor that moves with a digest's confirmation.

All verbs are guarded by the claim's fence and shared through group commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import GdaError
from gda.lifecycle import Claim, Occurrence, Status
from gda.store.claims import holders, lost
from gda.store.conditions import IDS, Among, status_is
from gda.store.effects import SEND, Receipt, confirm_steps, journal_of
from gda.store.group_commit import GroupCommit
from gda.store.records import Credential, Effect, MailCursor, User
from gda.store.tables import credentials, mail_cursors, occurrences, schedules, users
from gda.store.upserts import upsert


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier slot of the same schedule that is not settled: its mail is not known to be delivered or not."""

    schedule_id: str
    due_at: datetime
    slot: str
    ready_at: datetime


@dataclass(frozen=True, slots=True)
class Errand:
    """What a mail to a user needs to know before it begins, read at ``now`` (aware, by the store's clock)."""

    now: datetime
    user: User
    credential: Credential | None
    cursor: MailCursor | None
    effect: Effect | None
    earlier: Earlier | None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A send that is known to have happened; ``cursor`` None leaves the schedule's cursor alone (extra digests)."""

    claim: Claim
    provider_reference: str
    cursor: MailCursor | None


class Errands:
    """The errands of one database, and how far each schedule's digests have come."""

    def __init__(self, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._write = writes
        self._read = reads

    async def errand(self, claim: Claim) -> Errand:
        """Read user, credential, cursor and journal of a claimed occurrence. Raises GdaError when the user is gone."""
        return await self._read(_errands, claim)

    async def confirm(self, confirmation: Confirmation) -> None:
        """Write that the send happened and move the cursor, in one transaction. Raises ClaimLost."""
        await self._write(_confirm, confirmation)

    async def advance(self, claim: Claim, cursor: MailCursor) -> None:
        """Move the cursor of a digest that found nothing to send. Raises ClaimLost."""
        await self._write(_advance, Confirmation(claim, "", cursor))


async def _errands(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[Errand | Exception]:
    # Before the cursors: one that settles between the two questions has moved its cursor by then.
    waiting = await _unsettled(connection, claims)
    ids = [claim.occurrence.id for claim in claims]
    known = {row[0]: row for row in (await connection.execute(_KNOWN, {"ids": ids})).all()}
    journal = await journal_of(connection, ids)
    return [_errand(claim, now, known.get(claim.occurrence.id), journal, waiting) for claim in claims]


async def _confirm(connection: AsyncConnection, items: Sequence[Confirmation], now: datetime) -> list[Exception | None]:
    receipts = [Receipt(item.claim, item.provider_reference) for item in items]
    answers = await confirm_steps(connection, receipts, now)
    kept = [item for item, answer in zip(items, answers, strict=True) if answer is None]
    await _move_cursors(connection, kept)
    return answers


async def _advance(connection: AsyncConnection, items: Sequence[Confirmation], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, [item.claim for item in items])
    await _move_cursors(connection, [i for i in items if (i.claim.occurrence.id, i.claim.fence) in mine])
    return [None if (i.claim.occurrence.id, i.claim.fence) in mine else lost(i.claim) for i in items]


async def _move_cursors(connection: AsyncConnection, items: Sequence[Confirmation]) -> None:
    wanted = {i.claim.occurrence.schedule_id: i.cursor for i in items if i.cursor and i.claim.occurrence.schedule_id}
    # A schedule removed meanwhile has no cursor to move; what was sent is confirmed all the same.
    there = set((await connection.execute(_SCHEDULES, {"ids": list(wanted)})).scalars()) if wanted else set[str]()
    rows = [
        {"schedule_id": key, "up_to": cursor.up_to, "recent_ids": list(cursor.recent_ids)}
        for key, cursor in wanted.items()
        if key in there
    ]
    if rows:
        # Only forward: the replay of an old digest must not bring back what later ones have listed.
        await connection.execute(upsert(connection, mail_cursors, rising="up_to"), rows)


_UNSETTLED = select(*(occurrences.c[name] for name in Earlier.__dataclass_fields__)).where(
    Among(occurrences.c.user_id, IDS),
    occurrences.c.kind == bindparam("b_kind"),
    occurrences.c.due_at < bindparam("b_until", type_=occurrences.c.due_at.type),
    status_is(Status.SCHEDULED, Status.RUNNING, Status.RETRYING),
    occurrences.c.schedule_id.is_not(None),
    occurrences.c.slot.is_not(None),
)
_USER = tuple(users.c[name] for name in User.__dataclass_fields__)
_CREDENTIAL = tuple(credentials.c[name] for name in Credential.__dataclass_fields__)
_CURSOR = (mail_cursors.c.up_to, mail_cursors.c.recent_ids)
_KNOWN = (
    select(occurrences.c.id, *_USER, *_CREDENTIAL, *_CURSOR)
    .join_from(occurrences, users, users.c.id == occurrences.c.user_id)
    .outerjoin(credentials, credentials.c.user_id == users.c.id)
    .outerjoin(mail_cursors, mail_cursors.c.schedule_id == occurrences.c.schedule_id)
    .where(Among(occurrences.c.id, IDS))
)
_SCHEDULES = select(schedules.c.id).where(Among(schedules.c.id, IDS))


def _errand(
    claim: Claim,
    now: datetime,
    known: Sequence[Any] | None,
    journal: Mapping[tuple[str, str], Effect],
    waiting: Sequence[Earlier],
) -> Errand | Exception:
    occurrence = claim.occurrence
    if known is None:
        return GdaError(f"user {occurrence.user_id!r} was removed after occurrence {occurrence.id} was promised")
    values = iter(known[1:])
    user, credential, (up_to, recent_ids) = (list(islice(values, n)) for n in (len(_USER), len(_CREDENTIAL), 2))
    return Errand(
        now=now,
        user=User(*user),
        credential=None if credential[0] is None else Credential(*credential),
        cursor=None if up_to is None else MailCursor(up_to, tuple(recent_ids)),
        effect=journal.get((occurrence.id, SEND)),
        earlier=None if occurrence.extra else _before(occurrence, waiting),
    )


async def _unsettled(connection: AsyncConnection, claims: Sequence[Claim]) -> list[Earlier]:
    rows = await connection.execute(
        _UNSETTLED,
        {
            "ids": [c.occurrence.user_id for c in claims if c.occurrence.user_id is not None],
            "b_kind": claims[0].occurrence.kind,
            "b_until": max(c.occurrence.due_at for c in claims),
        },
    )
    return [Earlier(*row) for row in rows.all()]


def _before(occurrence: Occurrence, waiting: Sequence[Earlier]) -> Earlier | None:
    mine = [e for e in waiting if e.schedule_id == occurrence.schedule_id and e.due_at < occurrence.due_at]
    return min(mine, key=attrgetter("due_at"), default=None)
