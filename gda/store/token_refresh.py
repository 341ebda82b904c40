"""Refreshing tokens: one refresh of a credential however many ask, each promised once for its expiry.

Whoever refreshes holds the credential for a while under a rising fence; others find it busy, or find the new token.
Nobody waits for a lock here: on PostgreSQL rows that another transaction has are passed over and count as busy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, and_, bindparam, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.lifecycle import Status
from gda.store.conditions import IDS, Among
from gda.store.database import Database
from gda.store.group_commit import GroupCommit
from gda.store.promises import Defaults, Waker, insert_new, occurrence_id
from gda.store.records import Credential
from gda.store.tables import credentials, users

GOOGLE = "google"
BATCH = 500
_EXPIRING = text("gda_credentials.status = 'active' AND gda_credentials.promised_at IS NULL")
_INSTANT = credentials.c.expires_at.type
_NAMES = tuple(field.name for field in fields(Credential))
_values = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """How refreshes are promised: as what, how long before the expiry, and for how long they are tried."""

    kind: str
    queue: str
    defaults: Defaults
    ahead: timedelta
    expire_after: timedelta


@dataclass(frozen=True, slots=True)
class Expiring:
    """A token that soon expires, and the occurrence that refreshes it; None where that was promised before."""

    user_id: str
    expires_at: datetime
    occurrence_id: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody needs another token than ``seen`` (sealed; None: there was none), and may refresh for ``lease``."""

    user_id: str
    seen: str | None
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Turn:
    """The permission to refresh: the credential as it stands, the fence, and the store's instant."""

    credential: Credential
    fence: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else refreshes, at most until then."""

    until: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Renewed:
    """Tokens after a refresh, sealed; ``refresh_token`` None keeps the old one."""

    turn: Turn
    access_token: str
    expires_at: datetime
    refresh_token: str | None


class TokenRefresh:
    """The refreshes of one database."""

    def __init__(self, database: Database, *, writes: GroupCommit, reads: GroupCommit) -> None:
        self._database = database
        self._write = writes
        self._read = reads

    async def promise(self, rules: RefreshRules, waker: Waker, *, limit: int = BATCH) -> list[Expiring]:
        """Promise one batch of refreshes, an occurrence for each credential and expiry; call until none is found."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            query = expiring(now + rules.ahead, limit)
            rows = (await connection.execute(query.with_for_update(of=credentials, skip_locked=True))).all()
            if not rows:
                return []
            wanted = [_occurrence(row, rules, waker, now) for row in rows]
            new = await insert_new(connection, wanted)
            await connection.execute(_PROMISED, [{"b_user": row.user_id, "b_now": now} for row in rows])
        return [
            Expiring(row.user_id, row.expires_at, one["id"] if one["id"] in new else None)
            for row, one in zip(rows, wanted, strict=True)
        ]

    async def find(self, user_id: str) -> Credential | None:
        """A user's credential, read together with others'."""
        return await self._read(_find, user_id)

    async def begin(self, wanted: Wanted) -> Turn | Busy | Credential | None:
        """Ask for the turn to refresh.

        Returns:
            The turn; or that somebody else has it; or the credential, where it holds another token than the one seen;
            or None where there is nothing to refresh with: the user must consent.
        """
        return await self._write(_begin, wanted)

    async def finish(self, renewed: Renewed) -> Credential | None:
        """Keep new tokens; None, and nothing is written, where the turn has passed to somebody else."""
        return await self._write(_finish, renewed)

    async def give_up(self, turn: Turn) -> None:
        """End a turn without new tokens, so that nobody waits for it."""
        await self._write(_give_up, turn)


def expiring(until: datetime, limit: int) -> Select[Any]:
    """Tokens that expire by ``until`` and have no refresh promised, with their users' timezones, the earliest first."""
    query = select(credentials.c.user_id, credentials.c.expires_at, users.c.timezone)
    query = query.join(users, users.c.id == credentials.c.user_id)
    mine = and_(_EXPIRING, credentials.c.provider == GOOGLE, credentials.c.expires_at <= until)
    return query.where(mine).order_by(credentials.c.expires_at).limit(limit)


def _occurrence(row: Any, rules: RefreshRules, waker: Waker, now: datetime) -> dict[str, Any]:
    key = f"{GOOGLE}/{row.user_id}/{row.expires_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return {
        "id": occurrence_id(rules.kind, key),
        "kind": rules.kind,
        "dedup_key": key,
        "user_id": row.user_id,
        "timezone": row.timezone,
        "due_at": now,
        "ready_at": now,
        "expires_at": now + rules.expire_after,
        "payload": {"user": row.user_id},
        "status": Status.SCHEDULED,
        "queue": rules.queue,
        "timeout_seconds": rules.defaults.timeout_seconds,
        "max_attempts": rules.defaults.max_attempts,
        "extra": True,
        "woken_by": waker.woken_by,
        "flow_run_id": waker.flow_run_id,
        "created_at": now,
    }


_MINE = and_(credentials.c.user_id == bindparam("b_user"), credentials.c.provider == GOOGLE)
HELD = and_(_MINE, credentials.c.fence == bindparam("b_fence"), credentials.c.refreshing_until.is_not(None))
"""The credential while the turn with this fence lasts, or nobody has taken it over."""
_PROMISED = update(credentials).where(_MINE).values(promised_at=bindparam("b_now"))
_ROWS = select(credentials).where(Among(credentials.c.user_id, IDS), credentials.c.provider == GOOGLE)
_FREE = _ROWS.where(
    credentials.c.status == "active",
    or_(
        credentials.c.refreshing_until.is_(None),
        credentials.c.refreshing_until <= bindparam("b_now", type_=_INSTANT),
    ),
).with_for_update(skip_locked=True)
_TAKE = update(credentials).where(_MINE).values(fence=bindparam("b_fence"), refreshing_until=bindparam("b_until"))
_KEEP = (
    update(credentials)
    .where(HELD)
    .values(
        access_token=bindparam("b_access"),
        refresh_token=bindparam("b_refresh"),
        expires_at=bindparam("b_expires"),
        refreshing_until=None,
        promised_at=None,
        updated_at=bindparam("b_now"),
    )
)
_END = update(credentials).where(HELD).values(refreshing_until=None)


async def _find(
    connection: AsyncConnection, people: Sequence[str], now: datetime
) -> list[Credential | Exception | None]:
    rows = {row.user_id: row for row in await connection.execute(_ROWS, {"ids": list(people)})}
    return [credential_from(rows[who]) if who in rows else None for who in people]


def credential_from(row: Any) -> Credential:
    """The frozen value of a row."""
    return Credential(*_values(row))


async def _begin(
    connection: AsyncConnection, several: Sequence[Wanted], now: datetime
) -> list[Turn | Busy | Credential | Exception | None]:
    people = {"ids": sorted({one.user_id for one in several})}
    free = {row.user_id: row for row in await connection.execute(_FREE, people | {"b_now": now})}
    rows = {row.user_id: row for row in await connection.execute(_ROWS, people)} | free
    turns: dict[str, Turn] = {}
    answers: list[Turn | Busy | Credential | Exception | None] = []
    leases: list[dict[str, Any]] = []
    for one in several:
        row = rows.get(one.user_id)
        if row is None or row.status != "active":
            answers.append(None)
        elif row.access_token is not None and row.access_token != one.seen:
            answers.append(credential_from(row))
        elif one.user_id in free and one.user_id not in turns:
            turns[one.user_id] = Turn(credential_from(row), row.fence + 1, now)
            leases.append({"b_user": one.user_id, "b_fence": row.fence + 1, "b_until": now + one.lease})
            answers.append(turns[one.user_id])
        else:
            answers.append(Busy(row.refreshing_until or now + one.lease, now))
    if leases:
        await connection.execute(_TAKE, leases)
    return answers


async def _finish(
    connection: AsyncConnection, several: Sequence[Renewed], now: datetime
) -> list[Credential | Exception | None]:
    kept: dict[str, Credential | None] = {}
    for one in sorted(several, key=lambda one: one.turn.credential.user_id):
        old = one.turn.credential
        new = replace(
            old,
            access_token=one.access_token,
            refresh_token=one.refresh_token or old.refresh_token,
            expires_at=one.expires_at,
        )
        values = {"b_access": new.access_token, "b_refresh": new.refresh_token, "b_expires": new.expires_at}
        done = await connection.execute(_KEEP, values | {"b_now": now} | turn_values(one.turn))
        kept[one.access_token] = new if done.rowcount else None
    return [kept[one.access_token] for one in several]


async def _give_up(connection: AsyncConnection, turns: Sequence[Turn], now: datetime) -> list[Exception | None]:
    for turn in sorted(turns, key=lambda turn: turn.credential.user_id):
        await connection.execute(_END, turn_values(turn))
    return [None for _ in turns]


def turn_values(turn: Turn) -> dict[str, Any]:
    """The parameters of ``HELD``."""
    return {"b_user": turn.credential.user_id, "b_fence": turn.fence}
