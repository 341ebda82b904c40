"""People: add, find, change, remove; and their sealed credentials."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.errors import AlreadyExists, UnknownUser, UsageError
from gda.store.database import Database
from gda.store.records import Credential, User
from gda.store.tables import credentials, users
from gda.store.upserts import upsert

USER_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
RESERVED_IDS = frozenset({"drain", "nightly", "replay", "retention", "scan", "sweep", "tick"})
"""A user's deployment bears the user's id; these names belong to the system jobs of prefect.yaml."""
CHUNK = 500
EMAIL = re.compile(r"[^@\s\x00-\x1f<>\",;]+@[^@\s\x00-\x1f<>\",;]+")


def user_id_from(email: str) -> str:
    """A readable id made of the address's local part; Prefect's names and URLs can carry it."""
    local = email.partition("@")[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", local).strip("-._")[:48] or "user"


class Users:
    """The users of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, email: str, *, timezone: str, name: str = "", user_id: str | None = None) -> User:
        """Add one person.

        Args:
            email: where digests go.
            timezone: a valid IANA name (the caller checks it with ``gda.schedule.zone``).
            name: how to greet them.
            user_id: a readable id; made from the address when not given, with a number where that is taken.

        Raises:
            AlreadyExists: the address or the given id is there already.
            UsageError: the address or id breaks its rule.
        """
        if not EMAIL.fullmatch(email) or len(email) > 320:
            raise UsageError(f"email {email!r}: an address looks like name@example.org")
        if user_id is not None and not USER_ID.fullmatch(user_id):
            raise UsageError(f"user id {user_id!r}: use lower-case letters, digits, '.', '_' and '-', at most 64")
        if user_id in RESERVED_IDS:
            raise UsageError(f"user id {user_id!r} is the name of a system job in Prefect: choose another, see --id")
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            chosen = user_id or await _free_id(connection, user_id_from(email))
            row = {
                "id": chosen,
                "email": email,
                "name": name,
                "timezone": timezone,
                "status": "active",
                "created_at": now,
            }
            try:
                await connection.execute(insert(users), row)
            except IntegrityError:
                raise AlreadyExists(
                    f"user {chosen!r} or address {email!r} exists already; `gda user list` shows them"
                ) from None
        return User(chosen, email, name, timezone, "active", now)

    async def add_many(self, people: Sequence[tuple[str, str, str]]) -> int:
        """Add (id, email, timezone) rows in one statement and return how many."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            rows = [
                {"id": i, "email": email, "name": "", "timezone": zone, "status": "active", "created_at": now}
                for i, email, zone in people
            ]
            await connection.execute(insert(users), rows)
        return len(rows)

    async def get(self, who: str) -> User:
        """Find a user by id or address. Raises UnknownUser."""
        async with self._database.read() as connection:
            return await find_user(connection, who)

    async def all(self) -> list[User]:
        """Every user, by id."""
        async with self._database.read() as connection:
            return [_user(row) for row in await connection.execute(select(users).order_by(users.c.id))]

    async def set_status(self, who: str, status: str) -> User:
        """Pause or resume a user. Raises UnknownUser."""
        async with self._database.write() as connection:
            user = await find_user(connection, who)
            await connection.execute(update(users).where(users.c.id == user.id).values(status=status))
            return await find_user(connection, user.id)

    async def rename(self, who: str, name: str) -> User:
        """Change how a user is greeted. Raises UnknownUser."""
        async with self._database.write() as connection:
            user = await find_user(connection, who)
            await connection.execute(update(users).where(users.c.id == user.id).values(name=name))
            return await find_user(connection, user.id)

    async def remove(self, who: str) -> User:
        """Remove a user with schedules and credentials; what happened stays in the ledger. Raises UnknownUser."""
        async with self._database.write() as connection:
            user = await find_user(connection, who)
            await connection.execute(delete(users).where(users.c.id == user.id))
        return user


async def find_user(connection: AsyncConnection, who: str) -> User:
    """Find a user by id or address inside a transaction. Raises UnknownUser."""
    row = (await connection.execute(select(users).where((users.c.id == who) | (users.c.email == who)))).first()
    if row is None:
        raise UnknownUser(_absent(who))
    return _user(row)


async def require_users(connection: AsyncConnection, ids: Collection[str]) -> None:
    """Make sure that all of ``ids`` are users' inside a transaction. Raises UnknownUser for the first that is not."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        there = set((await connection.execute(select(users.c.id).where(users.c.id.in_(some)))).scalars())
        for absent in (one for one in some if one not in there):
            raise UnknownUser(_absent(absent))


def _absent(who: str) -> str:
    return f"user {who!r} does not exist; `gda user list` shows those that do, `gda user add` makes one"


async def _free_id(connection: AsyncConnection, wanted: str) -> str:
    taken = set(
        (await connection.execute(select(users.c.id).where(users.c.id.startswith(wanted, autoescape=True)))).scalars()
    )
    if wanted not in taken and wanted not in RESERVED_IDS:
        return wanted
    return next(candidate for n in range(2, len(taken) + 3) if (candidate := f"{wanted}-{n}") not in taken)


def _user(row: Any) -> User:
    return User(**{field.name: getattr(row, field.name) for field in fields(User)})


class Credentials:
    """The sealed tokens of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, rows: Sequence[Credential]) -> None:
        """Write credentials, replacing those of the same user and provider."""
        async with self._database.write() as connection:
            now = await self._database.clock.now(connection)
            values = [{f.name: getattr(row, f.name) for f in fields(Credential)} | {"updated_at": now} for row in rows]
            await connection.execute(upsert(connection, credentials, keep=("fence",)), values)

    async def get(self, user_id: str, provider: str = "google") -> Credential | None:
        """A user's credential, or None."""
        async with self._database.read() as connection:
            query = select(credentials).where(credentials.c.user_id == user_id, credentials.c.provider == provider)
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Credential(**{f.name: getattr(row, f.name) for f in fields(Credential)})

    async def rotate(self, seal_anew: Callable[[str, str], str]) -> int:
        """Replace every sealed token by what ``seal_anew`` makes of user id and sealed text; returns how many users'.

        Tokens that were refreshed meanwhile are left alone: they are under the newest key already.

        Raises:
            Exception: whatever ``seal_anew`` raises; credentials before that one are done.
        """
        done, last = 0, ("", "")
        own = (credentials.c.user_id, credentials.c.provider)
        while True:
            async with self._database.read() as connection:
                query = select(credentials).where(tuple_(*own) > last).order_by(*own).limit(CHUNK)
                rows = (await connection.execute(query)).all()
            if not rows:
                return done
            last = (rows[-1].user_id, rows[-1].provider)
            for row in rows:
                done += await self._reseal(row, seal_anew)

    async def _reseal(self, row: Any, seal_anew: Callable[[str, str], str]) -> int:
        names = [name for name in ("refresh_token", "access_token") if getattr(row, name) is not None]
        sealed = {name: seal_anew(row.user_id, getattr(row, name)) for name in names}
        same = [credentials.c[name] == getattr(row, name) for name in names]
        mine = (credentials.c.user_id == row.user_id, credentials.c.provider == row.provider)
        async with self._database.write() as connection:
            return (await connection.execute(update(credentials).where(*mine, *same).values(**sealed))).rowcount
