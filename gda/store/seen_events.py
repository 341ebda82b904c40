"""What is remembered of users' calendars: sync tokens and seen events, moved only with a report's confirmation.

A step that is older than what is remembered changes nothing: the replay of an old report takes no calendar back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Claim
from gda.novelty.model import Seen, instant_of, moment_from
from gda.store.calendar_tables import calendar_cursors, seen_events
from gda.store.claims import holders, lost
from gda.store.conditions import IDS, Among
from gda.store.effects import Receipt, confirm_steps
from gda.store.group_commit import GroupCommit
from gda.store.tables import schedules
from gda.store.upserts import upsert

KEPT_FOR = timedelta(days=7)
"""How long an event is remembered after its end: what is over is told no more, whatever becomes of it."""


@dataclass(frozen=True, slots=True)
class CalendarMemory:
    """What a schedule's reports have told so far: sync tokens by calendar, and what was seen by calendar and id."""

    tokens: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, Mapping[str, Seen]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CalendarStep:
    """What a report adds to the memory once it is delivered.

    ``at`` is when the calendars were read (aware), ``tokens`` their next sync tokens by calendar, ``forget`` names
    calendar and id of each.
    """

    at: datetime
    tokens: Mapping[str, str]
    remember: tuple[Seen, ...] = ()
    forget: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dict for the effect journal."""
        return {
            "at": self.at.isoformat(),
            "tokens": dict(self.tokens),
            "remember": [seen.to_json() for seen in self.remember],
            "forget": [list(each) for each in self.forget],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CalendarStep":
        """What ``to_json`` wrote."""
        remember = tuple(Seen.from_json(each) for each in value["remember"])
        forget = tuple((calendar, key) for calendar, key in value["forget"])
        return cls(datetime.fromisoformat(value["at"]), value["tokens"], remember, forget)


@dataclass(frozen=True, slots=True)
class _Told:
    claim: Claim
    provider_reference: str
    step: CalendarStep | None


class SeenEvents:
    """The calendar memory of one database; verbs are guarded by the claim's fence and shared through group commits."""

    def __init__(self, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._write = writes
        self._read = reads

    async def recall(self, claim: Claim) -> CalendarMemory:
        """Read what the reports of a claimed occurrence's schedule have told; empty without a schedule."""
        return await self._read(_recall, claim)

    async def confirm(self, claim: Claim, provider_reference: str, step: CalendarStep | None) -> None:
        """Write that a report's send happened and what is remembered from then on, in one transaction.

        Args:
            claim: the occurrence.
            provider_reference: what the mail server answered.
            step: None leaves the memory alone (extra reports).

        Raises:
            ClaimLost: another worker holds the occurrence.
        """
        await self._write(_confirm, _Told(claim, provider_reference, step))

    async def advance(self, claim: Claim, step: CalendarStep) -> None:
        """Move the memory of a report that had nothing to tell. Raises ClaimLost."""
        await self._write(_advance, _Told(claim, "", step))


async def _recall(
    connection: AsyncConnection, claims: Sequence[Claim], now: datetime
) -> list[CalendarMemory | Exception]:
    ids = {"ids": [c.occurrence.schedule_id for c in claims if c.occurrence.schedule_id is not None]}
    tokens: dict[str, dict[str, str]] = defaultdict(dict)
    seen: dict[str, dict[str, dict[str, Seen]]] = defaultdict(lambda: defaultdict(dict))
    for row in (await connection.execute(_TOKENS, ids)).all():
        tokens[row.schedule_id][row.calendar_id] = row.sync_token
    for row in (await connection.execute(_SEEN, ids)).all():
        seen[row.schedule_id][row.calendar_id][row.event_id] = _seen(row)
    keys = [claim.occurrence.schedule_id or "" for claim in claims]
    return [CalendarMemory(tokens.get(key, {}), seen.get(key, {})) for key in keys]


async def _confirm(connection: AsyncConnection, items: Sequence[_Told], now: datetime) -> list[Exception | None]:
    receipts = [Receipt(item.claim, item.provider_reference) for item in items]
    answers = await confirm_steps(connection, receipts, now)
    await _learn(connection, [item for item, answer in zip(items, answers, strict=True) if answer is None], now)
    return answers


async def _advance(connection: AsyncConnection, items: Sequence[_Told], now: datetime) -> list[Exception | None]:
    mine = await holders(connection, [item.claim for item in items])
    await _learn(connection, [i for i in items if (i.claim.occurrence.id, i.claim.fence) in mine], now)
    return [None if (i.claim.occurrence.id, i.claim.fence) in mine else lost(i.claim) for i in items]


async def _learn(connection: AsyncConnection, items: Sequence[_Told], now: datetime) -> None:
    told = await _newer(connection, items)
    if not told:
        return
    forgotten = [
        {"b_schedule": key, "b_calendar": calendar, "b_event": event}
        for key, _, step in told
        for calendar, event in step.forget
    ]
    remembered = [_row(key, zone, step.at, seen) for key, zone, step in told for seen in step.remember]
    tokens = [
        {"schedule_id": key, "calendar_id": calendar, "sync_token": token, "synced_at": step.at}
        for key, _, step in told
        for calendar, token in step.tokens.items()
    ]
    if forgotten:
        await connection.execute(_FORGET, forgotten)
    if remembered:
        await connection.execute(upsert(connection, seen_events), remembered)
    if tokens:
        await connection.execute(upsert(connection, calendar_cursors), tokens)
    await connection.execute(_PRUNE, [{"b_schedule": key, "b_now": now} for key, _, _ in told])


async def _newer(connection: AsyncConnection, items: Sequence[_Told]) -> list[tuple[str, str, CalendarStep]]:
    """Schedule, timezone and step of those that go on from what is remembered."""
    steps = {item.claim.occurrence.schedule_id or "": item for item in items if item.step}
    ids = {"ids": list(steps)}
    # A schedule removed meanwhile has no memory to move; what was sent is confirmed all the same.
    there = set((await connection.execute(_SCHEDULES, ids)).scalars())
    newest = {key: at for key, at in (await connection.execute(_NEWEST, ids)).all()}
    return [
        (key, item.claim.occurrence.timezone, item.step)
        for key, item in steps.items()
        if item.step and key in there and (key not in newest or newest[key] <= item.step.at)
    ]


_TOKENS = select(calendar_cursors).where(Among(calendar_cursors.c.schedule_id, IDS))
_SEEN = select(seen_events).where(Among(seen_events.c.schedule_id, IDS))
_NEWEST = (
    select(calendar_cursors.c.schedule_id, func.max(calendar_cursors.c.synced_at))
    .where(Among(calendar_cursors.c.schedule_id, IDS))
    .group_by(calendar_cursors.c.schedule_id)
)
_SCHEDULES = select(schedules.c.id).where(Among(schedules.c.id, IDS))
_FORGET = delete(seen_events).where(
    seen_events.c.schedule_id == bindparam("b_schedule"),
    seen_events.c.calendar_id == bindparam("b_calendar"),
    seen_events.c.event_id == bindparam("b_event"),
)
_PRUNE = delete(seen_events).where(
    seen_events.c.schedule_id == bindparam("b_schedule"),
    seen_events.c.forget_at < bindparam("b_now", type_=seen_events.c.forget_at.type),
)


def _seen(row: Any) -> Seen:
    return Seen(
        calendar=row.calendar_id,
        id=row.event_id,
        uid=row.uid,
        title=row.title,
        start=moment_from(row.starts_at),
        end=moment_from(row.ends_at),
        stance=row.stance,
        series=row.series,
        starts=tuple(row.dates),
    )


def _row(schedule_id: str, timezone: str, at: datetime, seen: Seen) -> dict[str, Any]:
    return {
        "schedule_id": schedule_id,
        "calendar_id": seen.calendar,
        "event_id": seen.id,
        "uid": seen.uid,
        "title": seen.title,
        "starts_at": seen.start.isoformat(),
        "ends_at": seen.end.isoformat(),
        "stance": seen.stance,
        "series": seen.series,
        "dates": list(seen.starts),
        "fingerprint": seen.fingerprint,
        "seen_at": at,
        # A series goes on past the dates that are remembered.
        "forget_at": None if seen.is_series else instant_of(seen.end, timezone) + KEPT_FOR,
    }
