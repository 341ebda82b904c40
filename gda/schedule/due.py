"""What to promise now: a pure decision over a schedule's slots, its policies and the ledger's rows (DESIGN 1.2, 5)."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

from gda.schedule.count import count_slots
from gda.schedule.expression import Expression
from gda.schedule.slots import DueSlot, latest_slot, slot_at, slots_after, slots_between

MOST_ROWS = 500
"""About the most rows that one decision makes, so that years of absence cost no more than a morning does."""
MISSED_AFTER = timedelta(minutes=5)
"""How late a wake-up may come before its slot counts as missed: about twice the sweep's grace of 120 s and a start."""

_TICK = timedelta(microseconds=1)


class CatchUp(StrEnum):
    """What becomes of slots that nobody woke for."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Policies:
    """How a schedule treats lateness and crowds.

    catch_up_window: slots due longer ago are refused together. expire_after: a slot due longer ago is worth nothing
    any more.
    spread: the width over which users of one time are spread; slot and due time stay as promised.
    """

    catch_up: CatchUp = CatchUp.LATEST
    catch_up_window: timedelta = timedelta(hours=12)
    expire_after: timedelta | None = None
    spread: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Promise:
    """One row to insert; a range of slots refused as a whole is one row, named for its last slot.

    due_at, not_before: aware UTC; not_before is None unless scheduled with a spread. note: the zone's note
    (zone.resolve).
    """

    slot: str
    due_at: datetime
    status: Literal["scheduled", "skipped"]
    reason: str = ""
    note: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class DueDecision:
    """The rows to insert, in due order, and when the earliest slot without one is due (aware UTC; None: it ended)."""

    promises: tuple[Promise, ...]
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Question:
    expression: Expression
    tz: str | ZoneInfo
    policies: Policies
    now: datetime
    known: frozenset[str]
    missed_after: timedelta
    newest: DueSlot | None
    offset: timedelta


def decide_due(
    expression: Expression,
    tz: str | ZoneInfo,
    *,
    policies: Policies,
    active_from: datetime,
    next_due_at: datetime | None,
    now: datetime,
    early: timedelta,
    known: Collection[str] = (),
    spread_key: str = "",
    missed_after: timedelta = MISSED_AFTER,
) -> DueDecision:
    """Decide every slot with ``max(active_from, next_due_at) <= due_at <= now + early`` that is not ``known``.

    All instants are aware; ``now`` is the database's. known: names of slots that have a row under any revision.
    spread_key: who it is for (a user's id), hashed into a stable place within ``policies.spread``.
    missed_after: how late ``catch_up=none`` still counts as on time.

    Slots already ahead (after ``now``) are always scheduled. With ``all`` the oldest 500 are decided and
    ``next_due_at`` stays in the past, so the next wake-up goes on. With ``latest`` a newer slot supersedes older ones
    even where it is known.
    """
    start = max(active_from, next_due_at or active_from)
    newest = latest_slot(expression, tz, now)
    offset = spread_offset(spread_key, policies.spread)
    question = _Question(expression, tz, policies, now, frozenset(known), missed_after, newest, offset)
    limit_at, rule = _limit(question)
    refused = _refuse_range(question, start, limit_at, rule)
    horizon = now + early
    due, decided_to = _list_due(question, max(start, limit_at), max(horizon, start - _TICK))
    promises = refused + tuple(_judge(question, slot) for slot in due if slot.slot not in question.known)
    following = _first_unknown(question, decided_to)
    return DueDecision(promises, following.due_at if following else None)


def spread_offset(key: str, spread: timedelta) -> timedelta:
    """The stable place of ``key`` within ``spread``, in whole seconds from 0 up to but not including it."""
    seconds = int(spread.total_seconds())
    if seconds <= 0:
        return timedelta(0)
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return timedelta(seconds=int.from_bytes(digest, "big") % seconds)


def _list_due(question: _Question, start: datetime, end: datetime) -> tuple[list[DueSlot], datetime]:
    """The slots to decide and the instant up to which that is all of them."""
    slots = slots_between(question.expression, question.tz, start - _TICK, end)
    if question.policies.catch_up is not CatchUp.ALL:
        return list(slots), end
    due = list(islice(slots, MOST_ROWS))
    if len(due) < MOST_ROWS:
        return due, end
    if due[-1].merged_into is not None:
        due.pop()  # The slot that runs in its place is due at the same instant: both wait for the next wake-up.
    return due, due[-1].due_at


def _limit(question: _Question) -> tuple[datetime, str]:
    """Before which instant slots are refused as one range, and by which rule."""
    policies, now = question.policies, question.now
    window = max(policies.catch_up_window, question.missed_after)
    limit_at, rule = now - window, f"missed, and older than the catch-up window of {_span(window)}"
    if policies.expire_after is not None and policies.expire_after < window:
        limit_at, rule = now - policies.expire_after, f"expired: older than {_span(policies.expire_after)}"
    if policies.catch_up is CatchUp.ALL:
        return limit_at, rule
    newest = question.newest
    countable = now - timedelta(days=MOST_ROWS / question.expression.runs_per_day)
    if newest is not None and (row_limit := min(countable, newest.due_at)) > limit_at:
        return row_limit, _policy_reason(question, newest.slot)
    return limit_at, rule


def _policy_reason(question: _Question, newest: str) -> str:
    if question.policies.catch_up is CatchUp.LATEST:
        return f"catch-up latest: superseded by {newest}"
    return "catch-up none: missed"


def _refuse_range(question: _Question, start: datetime, limit_at: datetime, rule: str) -> tuple[Promise, ...]:
    first = _first_unknown(question, start - _TICK)
    if first is None or first.due_at >= limit_at:
        return ()
    last = _last_unknown(question, limit_at)
    slots = count_slots(question.expression, question.tz, first.due_at, limit_at)
    slots -= sum(_is_between(question, name, first.due_at, limit_at) for name in question.known)
    reason = rule if slots == 1 else f"{rule}: {first.slot} .. {last.slot}, {slots} slots"
    return (Promise(last.slot, last.due_at, "skipped", reason, last.note),)


def _first_unknown(question: _Question, after: datetime) -> DueSlot | None:
    slots = slots_after(question.expression, question.tz, after)
    return next((slot for slot in slots if slot.slot not in question.known), None)


def _last_unknown(question: _Question, before: datetime) -> DueSlot:
    slot = latest_slot(question.expression, question.tz, before - _TICK)
    while slot is not None and slot.slot in question.known:
        slot = latest_slot(question.expression, question.tz, slot.due_at - _TICK)
    assert slot is not None, "asked only where an unknown slot lies before"
    return slot


def _is_between(question: _Question, name: str, since: datetime, before: datetime) -> bool:
    slot = slot_at(question.expression, question.tz, name)
    return slot is not None and since <= slot.due_at < before


def _judge(question: _Question, slot: DueSlot) -> Promise:
    late, mode, newest = question.now - slot.due_at, question.policies.catch_up, question.newest
    if slot.merged_into is not None:
        return _skip(slot, f"merged into {slot.merged_into}")
    if late >= timedelta(0):
        if mode is CatchUp.LATEST and newest is not None and slot.slot != newest.slot:
            return _skip(slot, _policy_reason(question, newest.slot))
        if mode is CatchUp.NONE and late > question.missed_after:
            return _skip(slot, f"catch-up none: missed by {_span(late)}")
    not_before = slot.due_at + question.offset if question.policies.spread > timedelta(0) else None
    return Promise(slot.slot, slot.due_at, "scheduled", "", slot.note, not_before)


def _skip(slot: DueSlot, reason: str) -> Promise:
    return Promise(slot.slot, slot.due_at, "skipped", reason, slot.note)


def _span(length: timedelta) -> str:
    """A length of time for people: ``12 h``, ``2 h 5 min``, ``90 s``."""
    seconds = int(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    parts = ((hours // 24, "d"), (hours % 24, "h"), (minutes, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
