"""What users prefer to be told through, when they want quiet, and the sealed addresses of chats and browsers."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.store.database import Database
from gda.store.notify_tables import held_notices, notify_preferences, push_subscriptions


@dataclass(frozen=True, slots=True)
class Preference:
    """What a user chose: channels by name, ``quiet`` as ``22:00-07:00`` or empty, the chat's address sealed or None."""

    user_id: str
    channels: tuple[str, ...]
    quiet: str = ""
    chat_address: str | None = None


@dataclass(frozen=True, slots=True)
class PushSubscription:
    """One browser of a user; ``sealed`` holds its end point and keys, see :mod:`gda.vault`."""

    id: str
    user_id: str
    sealed: str


class NotifyPreferences:
    """The preferences of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> Preference | None:
        """What a user chose; None: nothing yet."""
        query = select(notify_preferences).where(notify_preferences.c.user_id == user_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return preference_from(row) if row is not None else None

    async def put(self, preference: Preference, *, quiet_until: datetime | None = None) -> None:
        """Write what a user chose; the chat's address stays as it is where None is given.

        Args:
            preference: the choice.
            quiet_until: when the present quiet hours end (aware), None outside of them: held notices wait for this.
        """
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            await connection.execute(_upsert(connection, preference), [_row(preference, now)])
            waiting = (held_notices.c.user_id == preference.user_id, held_notices.c.occurrence_id.is_(None))
            await connection.execute(update(held_notices).where(*waiting).values(release_at=quiet_until or now))

    async def forget_chat(self, user_id: str) -> None:
        """Remove the address of a user's chat."""
        async with self._database.write() as connection:
            mine = notify_preferences.c.user_id == user_id
            await connection.execute(update(notify_preferences).where(mine).values(chat_address=None))

    async def rotate(self, seal_anew: Callable[[str, str], str]) -> int:
        """Replace every sealed address by what ``seal_anew`` makes of user id and sealed text; returns how many.

        What was written anew meanwhile is left alone: it is under the newest key already.

        Raises:
            Exception: whatever ``seal_anew`` raises; nothing is replaced then.
        """
        done = 0
        async with self._database.write() as connection:
            for table, key, sealed in _SEALED:
                rows = await connection.execute(select(key, table.c.user_id, sealed).where(sealed.is_not(None)))
                for identity, user_id, text in rows.all():
                    mine = (key == identity, sealed == text)
                    await connection.execute(update(table).where(*mine).values({sealed: seal_anew(user_id, text)}))
                    done += 1
        return done

    async def subscribe(self, subscription: PushSubscription) -> None:
        """Keep a browser of a user; one that is known already gets its new keys."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            statement = dialect.insert(push_subscriptions)
            statement = statement.on_conflict_do_update(
                index_elements=["id"], set_={"sealed": statement.excluded.sealed}
            )
            row = {"id": subscription.id, "user_id": subscription.user_id, "sealed": subscription.sealed}
            await connection.execute(statement, [row | {"created_at": now}])

    async def unsubscribe(self, subscription_id: str) -> None:
        """Forget a browser."""
        async with self._database.write() as connection:
            await connection.execute(delete(push_subscriptions).where(push_subscriptions.c.id == subscription_id))

    async def subscriptions(self, user_id: str) -> Sequence[PushSubscription]:
        """A user's browsers, the first first."""
        query = select(push_subscriptions).where(push_subscriptions.c.user_id == user_id)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(push_subscriptions.c.created_at, push_subscriptions.c.id))
            return [subscription_from(row) for row in rows]


_SEALED = (
    (notify_preferences, notify_preferences.c.user_id, notify_preferences.c.chat_address),
    (push_subscriptions, push_subscriptions.c.id, push_subscriptions.c.sealed),
)


def subscription_id(user_id: str, endpoint: str) -> str:
    """The id of a user's browser: the same for the same end point, which it does not tell."""
    return hashlib.sha256(f"{user_id}\0{endpoint}".encode()).hexdigest()[:24]


def preference_from(row: Any) -> Preference:
    """Make the frozen value of a row."""
    channels = tuple(name for name in row.channels.split(",") if name)
    return Preference(row.user_id, channels, row.quiet, row.chat_address)


def subscription_from(row: Any) -> PushSubscription:
    """Make the frozen value of a row."""
    return PushSubscription(row.id, row.user_id, row.sealed)


def _row(preference: Preference, now: datetime) -> dict[str, Any]:
    return {
        "user_id": preference.user_id,
        "channels": ",".join(preference.channels),
        "quiet": preference.quiet,
        "chat_address": preference.chat_address,
        "updated_at": now,
    }


def _upsert(connection: AsyncConnection, preference: Preference) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(notify_preferences)
    names = ["channels", "quiet", "updated_at"] + (["chat_address"] if preference.chat_address is not None else [])
    return statement.on_conflict_do_update(
        index_elements=["user_id"], set_={name: statement.excluded[name] for name in names}
    )
