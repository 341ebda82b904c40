"""Consent: what goes with a grant that died or came back, each in one transaction with what it means for the ledger."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, exists, select, update

from gda.lifecycle import CLIENT, CONSENT, DeadReason, Status
from gda.store import holds
from gda.store.burial import Death, bury
from gda.store.conditions import status_is
from gda.store.database import Database
from gda.store.promises import Defaults, insert_new, occurrence_id
from gda.store.records import Credential
from gda.store.tables import attempts, credentials, dead_letters, occurrences, users
from gda.store.token_refresh import GOOGLE, HELD, Turn, turn_values
from gda.store.upserts import upsert


@dataclass(frozen=True, slots=True)
class Dying:
    """What shall happen when a grant has died: which kinds of work are held, and as what its user is told."""

    held: Collection[str]
    kind: str
    queue: str
    defaults: Defaults


class Consent:
    """The grants of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def withdrawn(self, turn: Turn, dying: Dying) -> list[str] | None:
        """Note that a grant is dead, hold what waits for its user, and promise that the user is told.

        Returns:
            The ids of what was held; None, and nothing is written, where the turn has passed: somebody else found out,
            or the user has consented anew meanwhile.
        """
        user = turn.credential.user_id
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            found = await connection.execute(_DIE, turn_values(turn) | {"b_now": now})
            if not found.rowcount:
                return None
            mine = (users.c.id == user, users.c.status == "active")
            await connection.execute(update(users).where(*mine).values(status="needs-consent"))
            held = await holds.hold(connection, CONSENT, user_id=user, kinds=dying.held)
            key = f"{CONSENT}/{user}/{turn.fence}"
            payload = {"user": user, "cause": CONSENT, "since": turn.fence}
            await insert_new(connection, [_news(dying, key, payload, now) | {"user_id": user}])
        return held

    async def granted(self, credential: Credential) -> tuple[list[str], list[str]]:
        """Keep the tokens of a new grant and let go what was held for want of it.

        Returns:
            Ids of what is ready now, and of what has lost its value meanwhile and is skipped.
        """
        user = credential.user_id
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            values = {field.name: getattr(credential, field.name) for field in fields(Credential)}
            # The fence stays, so that it rises for good: a refresh that is under way must not write over this.
            statement = upsert(connection, credentials, keep=("fence",))
            await connection.execute(statement, values | {"updated_at": now, "granted_at": now})
            mine = (users.c.id == user, users.c.status == "needs-consent")
            await connection.execute(update(users).where(*mine).values(status="active"))
            return await holds.release(connection, CONSENT, now, user_id=user)

    async def release_answered(self) -> list[str]:
        """Let go what was held after its user had consented anew: its attempt had begun before; returns the ids."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            return list((await connection.execute(_ANSWERED, {"b_now": now})).scalars())

    async def probe_client(self) -> list[str]:
        """Let go one of those that a refused client holds, if any: how it fares shows whether the client is mended."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            held = (status_is(Status.HELD), occurrences.c.reason == CLIENT)
            first = select(occurrences.c.id).where(*held).order_by(occurrences.c.kind.desc(), occurrences.c.id).limit(1)
            chosen = occurrences.c.id.in_(first.scalar_subquery())
            freed = update(occurrences).where(chosen, *held).values(status=Status.SCHEDULED, reason="", ready_at=now)
            return list((await connection.execute(freed.returning(occurrences.c.id))).scalars())

    async def alarm(self, dying: Dying, reason: str) -> str | None:
        """Tell the operator, by one dead letter, that the client is refused; None where an open letter says so.

        Replaying that letter performs an occurrence that says so in its payload.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            letters = select(occurrences.c.id, dead_letters.c.closed_at).join(
                dead_letters, dead_letters.c.occurrence_id == occurrences.c.id
            )
            rows = await connection.execute(
                letters.where(occurrences.c.kind == dying.kind, *_ALARMS)
                .order_by(dead_letters.c.created_at.desc())
                .limit(1)
            )
            last = rows.one_or_none()
            if last is not None and last.closed_at is None:
                return None
            # Named after the last one: of two that ring at once, one finds the name taken.
            row = _news(dying, f"{CLIENT}/{last.id if last else 'first'}", {"cause": CLIENT}, now)
            row |= {"status": Status.DEAD, "reason": reason, "finished_at": now}
            if not await insert_new(connection, [row]):
                return None
            await bury(connection, [Death(row["id"], dying.kind, DeadReason.PERMANENT, reason)], now)
            return str(row["id"])


_DIE = (
    update(credentials)
    .where(HELD)
    .values(
        access_token=None,
        expires_at=None,
        status="needs-consent",
        refreshing_until=None,
        promised_at=None,
        updated_at=bindparam("b_now"),
    )
)
# As a range, which the unique index of names serves; a pattern it would not.
_ALARMS = (occurrences.c.dedup_key >= f"{CLIENT}/", occurrences.c.dedup_key < f"{CLIENT}0")
_MINE = and_(credentials.c.user_id == occurrences.c.user_id, credentials.c.provider == GOOGLE)
_SINCE = exists().where(
    _MINE,
    credentials.c.status == "active",
    credentials.c.granted_at.is_not(None),
    ~exists().where(attempts.c.occurrence_id == occurrences.c.id, attempts.c.started_at >= credentials.c.granted_at),
)
_ANSWERED = (
    update(occurrences)
    .where(status_is(Status.HELD), occurrences.c.reason == CONSENT, _SINCE)
    .values(status=Status.SCHEDULED, reason="", ready_at=bindparam("b_now"))
    .returning(occurrences.c.id)
)


def _news(dying: Dying, key: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": occurrence_id(dying.kind, key),
        "kind": dying.kind,
        "dedup_key": key,
        "due_at": now,
        "ready_at": now,
        "payload": payload,
        "status": Status.SCHEDULED,
        "queue": dying.queue,
        "timeout_seconds": dying.defaults.timeout_seconds,
        "max_attempts": dying.defaults.max_attempts,
        "extra": True,
        "woken_by": "consent",
        "created_at": now,
    }
