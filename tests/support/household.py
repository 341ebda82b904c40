"""A few users with sandbox mailboxes, a store that knows them, and a desk at which their digests are delivered."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gda.delivery.smtp import SmtpPool
from gda.google.http import open_http
from gda.jobs.digest import digest_job
from gda.report import Report
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.sandbox.faults import Fault
from gda.settings import Settings
from gda.store import ByHand, Credential, Scope, Store, Waker, Wish, Worker
from gda.vault import Vault, new_key
from tests.builders import a_store
from tests.support.sandbox import RunningSandbox, running_sandbox


@dataclass(frozen=True, slots=True)
class Household:
    """Users, their mailboxes and the desk; ``asked`` wakes GDA as a person would."""

    desk: Desk
    store: Store
    settings: Settings
    google: RunningSandbox

    async def asked(self, user: str, *, extra: str | None = None, run: str = "run") -> Report:
        """Deliver the user's latest slot, or an extra digest, and report."""
        hand = WakeUp(Scope("digest", user_id=user), Worker(run), Waker("hand"), ByHand(extra=extra))
        return await wake(self.desk, hand, lambda claim: settle_alone(self.desk, claim))

    def accepted(self, user: str) -> list[Any]:
        """The mails that the sandbox's mail server took for the user."""
        return self.google.sandbox.accepted.find(user=f"{user}@example.org")

    def fault(self, kind: Any, **details: Any) -> None:
        """Switch a fault of the sandbox on."""
        self.google.sandbox.faults.switch_on(Fault(kind, **details))


def sandbox_settings(google: RunningSandbox, database_url: str, **changes: Any) -> Settings:
    """Settings that point at a running sandbox."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "keys": SecretStr(new_key()),
        "google_client_id": "gda-sandbox",
        "google_client_secret": "sandbox-secret",
        "google_token_url": f"{google.http}/token",
        "google_api_url": google.http,
        "smtp_host": "127.0.0.1",
        "smtp_port": google.smtp_port,
        "smtp_security": "none",
        "mail_from": "GDA digest <digest@gda.example>",
        "mail_settling_seconds": 30,
        "run_retries": 0,
    }
    return Settings(**values | changes)


async def settle_in(
    store: Store, settings: Settings, google: RunningSandbox, users: Sequence[str], mail: Path | str | None
) -> None:
    """Make users with sandbox accounts, credentials and a daily digest, whose last slot counts at any hour of a day."""
    vault = Vault.from_settings(settings)
    for user in users:
        account = google.sandbox.open_account(
            f"{user}@example.org", mail=str(mail) if mail else None, samples=None if mail else user
        )
        await store.users.add(f"{user}@example.org", timezone="Europe/London")
        sealed = vault.seal(user, account.refresh_token)
        await store.credentials.put([Credential(user, "google", sealed, None, None, "active")])
        await store.schedules.set(Wish(user, "digest", "daily 07:30", catch_up_window=timedelta(days=2)))


@asynccontextmanager
async def a_household(
    tmp_path: Path, *users: str, mail: Path | str | None = None, **settings: Any
) -> AsyncIterator[Household]:
    """Run a sandbox and open a desk on a fresh SQLite store."""
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(running_sandbox())
        configured = sandbox_settings(google, url, **settings)
        store = await stack.enter_async_context(a_store(url))
        await settle_in(store, configured, google, users or ("ada",), mail)
        http = await stack.enter_async_context(open_http(configured))
        smtp = await stack.enter_async_context(SmtpPool(configured))
        job = digest_job(configured, store, Vault.from_settings(configured), http, smtp)
        yield Household(Desk(store, job, configured), store, configured, google)
