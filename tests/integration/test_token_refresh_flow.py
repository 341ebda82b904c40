"""The flow of token refresh, as Prefect runs it: promises, refreshes in chunks, and a table of what it promised."""

from datetime import timedelta

from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.token_refresh import refresh_tokens
from gda.store import Credential
from gda.vault import Vault
from tests.builders import a_store
from tests.support.flow_runs import environment_of, prefect_within_this_process
from tests.support.household import sandbox_settings
from tests.support.sandbox import running_sandbox

USERS = [f"u{number}" for number in range(12)]


async def test_the_flow_refreshes_what_expires_soon_and_then_finds_nothing(prefect_server, tmp_path, monkeypatch):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    async with running_sandbox() as google, a_store(url) as store, prefect_server.client() as client:
        settings = sandbox_settings(google, url, notify_mail=False, early_seconds=0)
        for name, value in environment_of(settings).items():
            monkeypatch.setenv(name, value)
        vault, now = Vault.from_settings(settings), await store.ledger.now()
        await store.users.add_many([(user, f"{user}@example.org", "UTC") for user in USERS])
        for user in USERS:
            account = google.sandbox.open_account(f"{user}@example.org")
            sealed = vault.seal(user, account.refresh_token), vault.seal(user, "old")
            await store.credentials.put([Credential(user, "google", *sealed, now + timedelta(minutes=5), "active")])
        async with prefect_within_this_process():
            states = [await refresh_tokens(return_state=True) for _ in range(2)]
        key = ArtifactFilter(key=ArtifactFilterKey(any_=["token-refresh"]))
        [table] = await client.read_artifacts(artifact_filter=key)
        counts = google.sandbox.refreshes
    assert [state.message for state in states] == [f"{len(USERS)} done", "nothing due"]
    assert table.description == f"{len(USERS)} tokens expire soon"
    assert dict(counts) == {f"{user}@example.org": 1 for user in USERS}
