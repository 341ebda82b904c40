"""Users with full mailboxes in the sandbox, and the store's rows that open them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gda.settings import Settings
from gda.store import Credential, Store
from gda.vault import Vault
from tests.support.sandbox import SpawnedSandbox

MAILBOX = {"pool": 400, "messages": 10, "min_bytes": 3000, "max_bytes": 30000, "seed": 1}
TOGETHER = 500


async def make_accounts(sandbox: SpawnedSandbox, users: int) -> list[dict[str, Any]]:
    """Make mailboxes with messages, and tokens that open them."""
    accounts: list[dict[str, Any]] = []
    for start in range(0, users, TOGETHER):
        wanted = range(start, min(start + TOGETHER, users))
        asked = [{"email": f"u{n}@example.org", "access_token": True, "generate": MAILBOX} for n in wanted]
        accounts += (await sandbox.control("accounts", {"accounts": asked}))["accounts"]
    return accounts


async def make_people(store: Store, settings: Settings, accounts: Sequence[dict[str, Any]]) -> None:
    """Make a user for each account, with its tokens sealed."""
    vault = Vault.from_settings(settings)
    await store.users.add_many([(f"u{n}", f"u{n}@example.org", "UTC") for n in range(len(accounts))])
    await store.credentials.put([credential(vault, f"u{n}", account) for n, account in enumerate(accounts)])


def credential(vault: Vault, user: str, account: dict[str, Any]) -> Credential:
    """Seal an account's tokens for the store."""
    sealed = vault.seal(user, account["refresh_token"]), vault.seal(user, account["access_token"])
    return Credential(user, "google", *sealed, datetime.now(UTC) + timedelta(minutes=59), "active")
