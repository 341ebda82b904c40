"""Tokens: refreshed once however many ask; a dead grant holds its user, a refused client everybody."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from gda.binding import opened
from gda.errors import ClientRefused, NeedsConsent, Transient
from gda.google.http import open_http
from gda.job import JobType
from gda.jobs.token_refresh import promise_batch, reconsider, token_refresh
from gda.jobs.tokens import LEASE, Tokens, dying
from gda.lifecycle import CLIENT, CONSENT, Settlement, Status
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.sandbox.faults import Fault
from gda.settings import Settings
from gda.store import ByHand, Credential, Scope, Store, Turn, Waker, Wanted, Which, Wish, Worker
from gda.store.tables import credentials
from gda.vault import Vault, new_key
from tests.builders import MORNING, VirtualClock, a_store
from tests.integration.test_plans import plan_of, statements_of
from tests.support.household import sandbox_settings
from tests.support.sandbox import RunningSandbox, running_sandbox

SOON = MORNING + timedelta(minutes=15)
BY_CRON = Waker("schedule")


@dataclass(frozen=True, slots=True)
class Office:
    """A store on a virtual clock, a sandbox, and what refreshes tokens between them."""

    store: Store
    settings: Settings
    google: RunningSandbox
    http: httpx.AsyncClient
    clock: VirtualClock

    def tokens(self, **settings: Any) -> Tokens:
        """What one process asks for tokens."""
        changed = self.settings.model_copy(update=settings)
        return Tokens(self.store, Vault.from_settings(changed), self.http, changed)

    def revoke(self, user: str, *, back: bool = False) -> None:
        account = self.google.sandbox.accounts.by_email(f"{user}@example.org")
        assert account is not None
        self.google.sandbox.set_revoked(account, not back)

    async def credential(self, user: str = "ada") -> Credential:
        found = await self.store.credentials.get(user)
        assert found is not None
        return found

    async def ran(self, **settings: Any) -> dict[str, int]:
        """What the flow does every ten minutes."""
        changed = self.settings.model_copy(update=settings)
        while await promise_batch(self.store, changed, BY_CRON):
            pass
        await reconsider(self.store)
        return await self.drained(token_refresh, changed)

    async def drained(self, kind: JobType, settings: Settings | None = None) -> dict[str, int]:
        """Perform what waits of a kind, and what comes of that; how many ended as what."""
        given = settings or self.settings
        async with opened(kind, given, self.store) as job:
            desk = Desk(self.store, job, given)
            call = WakeUp(Scope(kind.kind), Worker("w"), Waker("drain"))
            endings: Counter[str] = Counter()
            while found := (await wake(desk, call, lambda claims: settle_alone(desk, claims))).endings:
                endings.update(found)
        return {str(status): count for status, count in endings.items()}

    async def letters(self) -> list[str]:
        return [one.last_error for one in await self.store.dead_letters.find(Which())]


@asynccontextmanager
async def an_office(url: str, *users: str, **settings: Any) -> AsyncIterator[Office]:
    """Users whose tokens expire soon."""
    clock = VirtualClock(MORNING)
    async with running_sandbox() as google:
        given = sandbox_settings(google, url, early_seconds=0, **settings)
        async with a_store(url, clock=clock) as store, open_http(given) as http:
            vault = Vault.from_settings(given)
            for user in users or ("ada",):
                account = google.sandbox.open_account(f"{user}@example.org")
                await store.users.add(f"{user}@example.org", timezone="UTC")
                sealed = vault.seal(user, account.refresh_token), vault.seal(user, "old")
                await store.credentials.put([Credential(user, "google", *sealed, SOON, "active")])
            yield Office(store, given, google, http, clock)


def refreshes(office: Office) -> int:
    return office.google.sandbox.refreshes.total()


async def test_many_who_need_a_token_at_once_make_one_refresh(database_url):
    async with an_office(database_url) as office:
        seen = await office.credential()
        found = await asyncio.gather(*(office.tokens().renew(seen) for _ in range(20)))
        assert refreshes(office) == 1
        assert {one.access_token for one in found} == {(await office.credential()).access_token}
        assert office.google.sandbox.accounts.by_access_token(
            office.tokens().open(found[0]).get_secret_value(), office.google.sandbox.now_ms
        )


async def test_a_token_that_was_refused_although_it_is_new_is_refreshed_again(database_url):
    async with an_office(database_url) as office:
        tokens = office.tokens()
        first = await tokens.renew(await office.credential())
        assert (await tokens.renew(first)).access_token != first.access_token
        assert refreshes(office) == 2


async def test_who_dies_over_a_refresh_keeps_others_waiting_for_the_lease_and_is_refused_afterwards(database_url):
    async with an_office(database_url) as office:
        seen = await office.credential()
        dead = await office.store.token_refresh.begin(Wanted("ada", seen.access_token, LEASE))
        assert isinstance(dead, Turn)
        waiting = asyncio.create_task(office.tokens().renew(seen))
        await asyncio.sleep(0.2)
        assert (waiting.done(), refreshes(office)) == (False, 0)
        office.clock.advance(seconds=LEASE.total_seconds())
        kept = await waiting
        late = replace(dead, credential=replace(seen, access_token="late"))
        await office.store.token_refresh.give_up(late)
        assert await office.store.consent.withdrawn(dead, dying(office.settings)) is None
        assert (await office.credential(), refreshes(office)) == (kept, 1)


async def test_a_failed_refresh_lets_the_next_one_try_at_once(database_url):
    async with an_office(database_url) as office:
        office.google.sandbox.faults.switch_on(Fault("rate_limit", endpoint="token", times=1, retry_after=60))
        seen = await office.credential()
        with pytest.raises(Transient):
            await office.tokens().renew(seen)
        assert (await office.tokens().renew(seen)).expires_at != seen.expires_at


async def test_what_expires_within_twenty_minutes_is_refreshed_once_for_each_expiry(database_url):
    async with an_office(database_url, "ada", "bruno") as office:
        later = replace(await office.credential("bruno"), expires_at=MORNING + timedelta(minutes=21))
        await office.store.credentials.put([later])
        assert await office.ran() == {"done": 1}
        assert await office.ran() == {}
        office.clock.advance(minutes=1)
        assert await office.ran() == {"done": 1}
        office.clock.advance(minutes=50)
        assert await office.ran() == {"done": 2}
        rows = await office.store.history.list(kind="token-refresh", limit=10)
        assert len({row.dedup_key for row in rows}) == len(rows) == 4
        assert refreshes(office) == 4


async def test_a_refresh_that_somebody_made_meanwhile_is_skipped(database_url):
    async with an_office(database_url) as office:
        await promise_batch(office.store, office.settings, BY_CRON)
        await office.tokens().renew(await office.credential())
        assert await office.drained(token_refresh) == {"skipped": 1}
        assert refreshes(office) == 1


async def test_trouble_that_passes_is_tried_again_by_policy(database_url):
    async with an_office(database_url) as office:
        office.google.sandbox.faults.switch_on(Fault("rate_limit", endpoint="token", times=1, retry_after=60))
        assert await office.ran() == {"retrying": 1}
        office.clock.advance(minutes=2)
        assert await office.ran() == {"done": 1}
        assert (await office.credential()).status == "active"


async def held_by_consent(office: Office) -> list[tuple[str, str, str]]:
    rows = await office.store.history.list(limit=50)
    return sorted((row.kind, row.user_id or "", row.reason) for row in rows if row.status is Status.HELD)


async def a_digest_waits(office: Office, *users: str) -> None:
    """A digest of each, due now."""
    for user in users:
        await office.store.schedules.set(Wish(user, "digest", "daily 05:30"))
        await office.store.ledger.promise_by_hand(Scope("digest", user_id=user), ByHand(), Waker("hand"))


async def test_a_dead_grant_holds_its_users_work_tells_the_user_once_and_nobody_else(database_url):
    async with an_office(database_url, "ada", "bruno", notify_mail=False) as office:
        await a_digest_waits(office, "ada", "bruno")
        office.revoke("ada")
        assert await office.ran() == {"done": 2, "skipped": 1}
        assert await held_by_consent(office) == [("digest", "ada", CONSENT)]
        people = {one.id: one.status for one in await office.store.users.all()}
        assert people == {"ada": "needs-consent", "bruno": "active"}
        [notice] = await office.store.notifications.list("ada")
        assert "gda connect ada" in notice.body
        assert await office.store.notifications.list("bruno") == []
        assert (await office.credential()).access_token is None
        with pytest.raises(NeedsConsent, match="gda connect ada"):
            await office.tokens().renew(await office.credential())
        assert await office.ran() == {}
        assert len(await office.store.notifications.list("ada")) == 1


async def test_ten_who_find_a_dead_grant_together_tell_of_it_once(database_url):
    async with an_office(database_url, notify_mail=False) as office:
        office.revoke("ada")
        seen = await office.credential()
        found = await asyncio.gather(*(office.tokens().renew(seen) for _ in range(10)), return_exceptions=True)
        assert {type(one) for one in found} == {NeedsConsent}
        assert await office.drained(token_refresh) == {"done": 1}
        assert len(await office.store.notifications.list("ada")) == 1
        assert office.google.sandbox.requests["token"] == 1


async def test_consent_lets_go_what_is_still_worth_doing_and_the_next_loss_is_told_again(database_url):
    async with an_office(database_url, notify_mail=False) as office:
        await a_digest_waits(office, "ada")
        office.revoke("ada")
        await office.ran()
        office.clock.advance(days=1)
        await office.store.ledger.promise(Scope("digest"), Waker("schedule"))
        await office.store.ledger.hold(CONSENT, user_id="ada", kinds=("digest",))
        office.revoke("ada", back=True)
        again = replace(await office.credential(), status="active")
        ready, stale = await office.store.consent.granted(again)
        assert (len(ready), len(stale)) == (1, 1)
        assert (await office.store.users.get("ada")).status == "active"
        office.revoke("ada")
        with pytest.raises(NeedsConsent):
            await office.tokens().renew(await office.credential())
        await office.drained(token_refresh)
        assert len(await office.store.notifications.list("ada")) == 2


async def test_what_was_held_just_after_its_user_consented_is_let_go_by_the_next_run(database_url):
    async with an_office(database_url) as office:
        await a_digest_waits(office, "ada")
        [claim] = await office.store.ledger.claim(Scope("digest"), Worker("slow"), limit=1)
        number = await office.store.ledger.start(claim)
        office.clock.advance(seconds=1)
        await office.store.consent.granted(await office.credential())
        await office.store.ledger.settle(claim, number, Settlement(Status.HELD, "held", reason=CONSENT))
        assert await office.store.consent.release_answered() == [claim.occurrence.id]
        [claim] = await office.store.ledger.claim(Scope("digest"), Worker("slow"), limit=1)
        office.clock.advance(seconds=1)
        number = await office.store.ledger.start(claim)
        await office.store.ledger.settle(claim, number, Settlement(Status.HELD, "held", reason=CONSENT))
        # This attempt knew of the new grant, and was held for what that grant does not cover.
        assert await office.store.consent.release_answered() == []


async def test_a_refused_client_is_the_operators_matter_told_once_and_credentials_stay(database_url):
    async with an_office(database_url, "ada", "bruno", "carla") as office:
        wrong = {"google_client_secret": SecretStr("wrong")}
        before = [await office.credential(user) for user in ("ada", "bruno", "carla")]
        assert await office.ran(**wrong) == {"held": 3}
        [letter] = await office.letters()
        assert "GDA_GOOGLE_CLIENT_SECRET" in letter
        assert [await office.credential(user) for user in ("ada", "bruno", "carla")] == before
        assert {one.status for one in await office.store.users.all()} == {"active"}
        assert {reason for *_, reason in await held_by_consent(office)} == {CLIENT}
        # One is let go to see how it fares: while the client is refused it is held again, without another letter.
        assert await office.ran(**wrong) == {"held": 1}
        assert len(await office.letters()) == 1
        assert await office.ran() == {"done": 3}
        assert refreshes(office) == 3


async def test_replaying_the_operators_letter_lets_everybody_go_and_the_next_refusal_is_told_anew(database_url):
    async with an_office(database_url, "ada", "bruno") as office:
        wrong = {"google_client_secret": SecretStr("wrong")}
        await office.ran(**wrong)
        [letter] = await office.store.dead_letters.find(Which())
        await office.store.dead_letters.replay(Which((letter.occurrence_id,)), by="operator")
        assert await office.drained(token_refresh) == {"done": 3}
        with pytest.raises(ClientRefused):
            await office.tokens(**wrong).renew(await office.credential())
        [next_letter] = await office.store.dead_letters.find(Which())
        assert next_letter.occurrence_id != letter.occurrence_id


async def test_tokens_are_sealed_anew_under_the_newest_key_and_the_old_one_may_go(database_url):
    async with an_office(database_url, "ada", "bruno") as office:
        old = office.settings.keys
        assert old is not None
        new = new_key()
        both = Vault([new, old.get_secret_value()])
        before = await office.credential()
        assert await office.store.credentials.rotate(both.rotate) == 2
        after = await office.credential()
        assert {after.refresh_token, after.access_token}.isdisjoint({before.refresh_token, before.access_token})
        alone = Vault([new])
        opens = alone.open("ada", after.refresh_token), alone.open("ada", after.access_token or "")
        assert opens == (both.open("ada", before.refresh_token), "old")


async def test_an_idle_run_beside_many_credentials_reads_the_index_of_what_expires_alone(database_url):
    async with an_office(database_url) as office:
        await office.store.users.add_many([(f"u{n}", f"u{n}@example.org", "UTC") for n in range(3000)])
        rows = [
            {"user_id": f"u{n}", "provider": "google", "refresh_token": "r", "access_token": "a"}
            | {"expires_at": MORNING + timedelta(hours=1), "updated_at": MORNING}
            for n in range(3000)
        ]
        async with office.store.database.write() as connection:
            await connection.execute(insert(credentials), rows)
            await connection.execute(text("ANALYZE"))
        await promise_batch(office.store, office.settings, BY_CRON)
        [(statement, parameters), *_] = await statements_of(
            office.store, lambda store: promise_batch(store, office.settings, BY_CRON)
        )
        plan = "\n".join(
            await plan_of(office.store, statement.replace("FOR UPDATE OF gda_credentials SKIP LOCKED", ""), parameters)
        )
        assert "ix_gda_credentials_expiring" in plan


async def test_no_token_is_in_clear_in_rows_logs_or_errors(database_url, caplog):
    caplog.set_level(logging.DEBUG)
    async with an_office(database_url, "ada", "bruno", "carla", notify_mail=False) as office:
        accounts = office.google.sandbox.accounts
        secrets = {account.refresh_token for account in accounts.all()}
        office.revoke("bruno")
        office.google.sandbox.faults.switch_on(Fault("malformed", endpoint="token", user="carla@example.org"))
        await office.ran()
        secrets |= {token for account in accounts.all() for token in account.access}
        async with office.store.database.read() as connection:
            names = "gda_credentials", "gda_occurrences", "gda_attempts", "gda_notifications", "gda_leases"
            rows = [repr((await connection.execute(text(f"SELECT * FROM {name}"))).all()) for name in names]  # noqa: S608
        told = "".join(rows) + caplog.text + repr(await office.store.history.list(limit=20))
    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret in told] == []
    assert "gAAAA" in rows[0]
