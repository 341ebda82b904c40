"""Five processes, and tokens that expire all at once: each is refreshed once, and who lost consent is told once."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from gda.lifecycle import CONSENT, Status
from gda.store import Credential
from gda.store.tables import credentials, occurrences
from gda.vault import Vault
from tests.chaos.crew import FULL, PATIENT, Crew, a_crew, owe_digests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SIZE, REVOKED = (1000, 50) if FULL else (100, 5)
OWNERS = [f"w{number}" for number in range(5)]


def people() -> list[str]:
    return [f"u{number:04}" for number in range(SIZE)]


async def expire_all(crew: Crew) -> None:
    """Tokens of everybody that expire in a minute."""
    vault = Vault.from_settings(crew.settings)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    tokens = [{"b_user": user, "b_token": vault.seal(user, "old")} for user in people()]
    async with crew.store.database.write() as connection:
        for one in tokens:
            mine = update(credentials).where(credentials.c.user_id == one["b_user"])
            await connection.execute(mine.values(access_token=one["b_token"], expires_at=soon))


async def work(crew: Crew, *, refresh: bool) -> None:
    """Five processes refresh (or not), and deliver digests, until nothing is left for any of them."""
    began = time.monotonic()
    names = [f"{owner}-{len(crew.pids)}" for owner in OWNERS]
    for name in names:
        await crew.start(name, refresh=refresh)
    await crew.over(*names, seconds=900)
    print(f"tokens: five processes took {time.monotonic() - began:.1f} s")
    assert {crew.ended[name] for name in names} == {0}


def revoke(crew: Crew, users: list[str], *, back: bool = False) -> None:
    for user in users:
        account = crew.google.sandbox.accounts.by_email(f"{user}@example.org")
        assert account is not None
        crew.google.sandbox.set_revoked(account, not back)


async def standing(crew: Crew, kind: str) -> Counter[str]:
    rows = await crew.store.history.list(kind=kind, limit=3 * SIZE)
    return Counter(str(row.status) for row in rows)


async def test_five_processes_refresh_each_token_once_also_while_digests_ask_for_it(database_url):
    async with a_crew(database_url, **PATIENT, notify_mail=False) as crew:
        await owe_digests(crew, people())
        await expire_all(crew)
        await work(crew, refresh=True)
        assert Counter(crew.google.sandbox.refreshes.values()) == {1: SIZE}
        assert await standing(crew, "digest") == {"done": SIZE}
        assert set(await standing(crew, "token-refresh")) <= {"done", "skipped"}


async def test_the_revoked_are_held_and_told_once_and_consent_brings_what_is_still_worth_it(database_url):
    lost = people()[:REVOKED]
    async with a_crew(database_url, **PATIENT, notify_mail=False) as crew:
        await owe_digests(crew, people())
        await expire_all(crew)
        revoke(crew, lost)
        await work(crew, refresh=True)
        assert await standing(crew, "digest") == {"done": SIZE - REVOKED, "held": REVOKED}
        told = {user: len(await crew.store.notifications.list(user)) for user in people()}
        assert told == dict.fromkeys(people(), 0) | dict.fromkeys(lost, 1)
        held = [row for row in await crew.store.history.list(kind="digest", limit=SIZE) if row.status is Status.HELD]
        assert {(row.user_id, row.reason) for row in held} == {(user, CONSENT) for user in lost}
        stale = lost[: REVOKED // 2]
        await age(crew, stale)
        revoke(crew, lost, back=True)
        for user in lost:
            await crew.store.consent.granted(await credential_of(crew, user))
        await work(crew, refresh=False)
        late = len(stale)
        assert await standing(crew, "digest") == {"done": SIZE - late, "skipped": late}
        sent = Counter(mail.recipients[0] for mail in crew.google.sandbox.accepted.find())
        assert sent == Counter(f"{user}@example.org" for user in people() if user not in stale)


async def age(crew: Crew, users: list[str]) -> None:
    """Let what is held of these lose its value."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    async with crew.store.database.write() as connection:
        mine = update(occurrences).where(occurrences.c.user_id.in_(users), occurrences.c.kind == "digest")
        await connection.execute(mine.values(expires_at=past))


async def credential_of(crew: Crew, user: str) -> Credential:
    found = await crew.store.credentials.get(user)
    assert found is not None
    return replace(found, status="active")
