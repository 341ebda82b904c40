"""The effect journal of mail digests: intent before the send, confirmation after it, the cursor moved with either.

All verbs are guarded by the claim's fence and shared through group commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import GdaError
from gda.lifecycle import Claim, Occurrence, Status
from gda.store.claims import holders, lost
from gda.store.conditions import IDS, Among, status_is
from gda.store.group_commit import GroupCommit
from gda.store.records import Credential, Effect, MailCursor, User
from gda.store.tables import credentials, effects, mail_cursors, occurrences, schedules, users
from gda.store.upserts import upsert

SEND = "send"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier slot of the same schedule that is not settled: its mail is not known to be delivered or not."""

    schedule_id: str
    due_at: datetime
    slot: str
    ready_at: datetime


@dataclass(frozen=True, slots=True)
class Errand:
    """All that a digest needs to know before it begins, read at ``now`` (aware, by the store's clock)."""

    now: datetime
    user: User
    credential: Credential | None
    cursor: MailCursor | None
    effect: Effect | None
    earlier: Earlier | None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent: ``reference`` is the Message-ID, ``content`` what later attempts send the same from.

    Of mail that is the window by ids, never text.

    ``busy`` is how long the send may take; nobody takes the occurrence over before it has passed.
    """

    claim: Claim
    reference: str
    content: dict[str, Any]
    busy: timedelta


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A send that is known to have happened; ``cursor`` None leaves the schedule's cursor alone (extra digests)."""

    claim: Claim
    provider_reference: str
    cursor: MailCursor | None


class Effects:
    """The effect journal of one database."""

    def __init__(self, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._write = writes
        self._read = reads

    async def errand(self, claim: Claim) -> Errand:
        """Read user, credential, cursor and journal of a claimed occurrence. Raises GdaError when the user is gone."""
        return await self._read(_errands, claim)

    async def intend(self, intent: Intent) -> Effect:
        """Write an intent, or renew its ``busy`` time when this occurrence has one already. Raises ClaimLost."""
        return await self._write(_intend, intent)

    async def refuse(self, claim: Claim) -> None:
        """Write that the send is known not to have happened, so that nobody needs to ask before the next try."""
        await self._write(_refuse, claim)

    async def confirm(self, confirmation: Confirmation) -> None:
        """Write that the send happened and move the cursor, in one transaction. Raises ClaimLost."""
        await self._write(confirm_sends, confirmation)

    async def advance(self, claim: Claim, cursor: MailCursor) -> None:
        """Move the cursor of a digest that found nothing to send. Raises ClaimLost."""
        await self._write(_advance, Confirmation(claim, "", cursor))


async def _errands(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[Errand | Exception]:
    # Before the cursors: one that settles between the two questions has moved its cursor by then.
    waiting = await _unsettled(connection, claims)
    people = await _by_key(connection, _PEOPLE, [c.occurrence.user_id for c in claims])
    tokens = await _by_key(connection, _TOKENS, list(people))
    cursors = await _by_key(connection, _CURSORS, [c.occurrence.schedule_id for c in claims])
    journal = await _by_key(connection, _JOURNAL, [c.occurrence.id for c in claims])
    return [_errand(claim, now, people, tokens, cursors, journal, waiting) for claim in claims]


async def _intend(connection: AsyncConnection, intents: Sequence[Intent], now: datetime) -> list[Effect | Exception]:
    mine = await holders(connection, [intent.claim for intent in intents])
    kept = [intent for intent in intents if (intent.claim.occurrence.id, intent.claim.fence) in mine]
    ids = [intent.claim.occurrence.id for intent in kept]
    known = await _by_key(connection, _JOURNAL, ids)
    rows = [_effect_row(intent, now) for intent in kept if intent.claim.occurrence.id not in known]
    again = [intent for intent in kept if intent.claim.occurrence.id in known]
    if rows:
        await connection.execute(_INTEND, rows)
    if again:
        await connection.execute(_REOPEN, [_reopen_values(intent, now) for intent in again])
    journal = await _by_key(connection, _JOURNAL, ids)
    return [
        _effect(journal[intent.claim.occurrence.id]) if intent.claim.occurrence.id in journal else lost(intent.claim)
        for intent in intents
    ]


async def _refuse(connection: AsyncConnection, claims: Sequence[Claim], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, claims)
    kept = [claim for claim in claims if (claim.occurrence.id, claim.fence) in mine]
    if kept:
        await connection.execute(_REFUSE, [{"b_id": c.occurrence.id, "b_fence": c.fence} for c in kept])
    return [None for _ in claims]


async def confirm_sends(
    connection: AsyncConnection, items: Sequence[Confirmation], now: datetime
) -> list[Exception | None]:
    """Confirm sends and move their cursors; ``ClaimLost`` for those that are no longer held."""
    mine = await holders(connection, [item.claim for item in items])
    kept = [item for item in items if (item.claim.occurrence.id, item.claim.fence) in mine]
    if kept:
        await connection.execute(_CONFIRM, [_confirm_values(item, now) for item in kept])
    await _move_cursors(connection, kept)
    return [None if (i.claim.occurrence.id, i.claim.fence) in mine else lost(i.claim) for i in items]


async def _advance(connection: AsyncConnection, items: Sequence[Confirmation], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, [item.claim for item in items])
    await _move_cursors(connection, [i for i in items if (i.claim.occurrence.id, i.claim.fence) in mine])
    return [None if (i.claim.occurrence.id, i.claim.fence) in mine else lost(i.claim) for i in items]


async def _move_cursors(connection: AsyncConnection, items: Sequence[Confirmation]) -> None:
    wanted = {i.claim.occurrence.schedule_id: i.cursor for i in items if i.cursor and i.claim.occurrence.schedule_id}
    # A schedule removed meanwhile has no cursor to move; what was sent is confirmed all the same.
    there = await _by_key(connection, _SCHEDULES, list(wanted))
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
_PEOPLE = select(users).where(Among(users.c.id, IDS))
_TOKENS = select(credentials).where(Among(credentials.c.user_id, IDS))
_CURSORS = select(mail_cursors).where(Among(mail_cursors.c.schedule_id, IDS))
_JOURNAL = select(effects).where(Among(effects.c.occurrence_id, IDS))
_SCHEDULES = select(schedules.c.id).where(Among(schedules.c.id, IDS))


async def _by_key(connection: AsyncConnection, query: Select[Any], keys: Sequence[str | None]) -> dict[str, Any]:
    """The rows of ``query`` by their first column, which is one of ``keys``."""
    wanted = {key for key in keys if key is not None}
    if not wanted:
        return {}
    rows = await connection.execute(query, {"ids": list(wanted)})
    return {row[0]: row for row in rows.all()}


_user_values = attrgetter(*User.__dataclass_fields__)
_credential_values = attrgetter(*Credential.__dataclass_fields__)
_effect_values = attrgetter(*Effect.__dataclass_fields__)


def _errand(
    claim: Claim,
    now: datetime,
    people: dict[str, Any],
    tokens: dict[str, Any],
    cursors: dict[str, Any],
    journal: dict[str, Any],
    waiting: Sequence[Earlier],
) -> Errand | Exception:
    occurrence = claim.occurrence
    person = people.get(occurrence.user_id or "")
    if person is None:
        return GdaError(f"user {occurrence.user_id!r} was removed after occurrence {occurrence.id} was promised")
    token = tokens.get(person.id)
    cursor = cursors.get(occurrence.schedule_id or "")
    effect = journal.get(occurrence.id)
    return Errand(
        now=now,
        user=User(*_user_values(person)),
        credential=Credential(*_credential_values(token)) if token else None,
        cursor=MailCursor(cursor.up_to, tuple(cursor.recent_ids)) if cursor else None,
        effect=_effect(effect) if effect else None,
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


def _effect(row: Any) -> Effect:
    return Effect(*_effect_values(row))


def _effect_row(intent: Intent, now: datetime) -> dict[str, Any]:
    return {
        "occurrence_id": intent.claim.occurrence.id,
        "step": SEND,
        "state": "intent",
        "fence": intent.claim.fence,
        "reference": intent.reference,
        "content": intent.content,
        "intent_at": now,
        "busy_until": now + intent.busy,
    }


_INTEND = insert(effects)
_OPEN = and_(effects.c.occurrence_id == bindparam("b_id"), effects.c.step == SEND, effects.c.state != "confirmed")

# The first intent's window stays: a retry must send what was promised first, not what it would find now.
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


def _reopen_values(intent: Intent, now: datetime) -> dict[str, Any]:
    return {
        "b_id": intent.claim.occurrence.id,
        "b_fence": intent.claim.fence,
        "b_now": now,
        "b_busy": now + intent.busy,
    }


def _confirm_values(item: Confirmation, now: datetime) -> dict[str, Any]:
    return {
        "b_id": item.claim.occurrence.id,
        "b_fence": item.claim.fence,
        "b_now": now,
        "b_provider_reference": item.provider_reference[:255],
    }
