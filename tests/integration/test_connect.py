"""``gda connect`` against the sandbox: a browser that consents, refuses, comes late, or is somebody else's."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from gda.cli.connect import connect
from gda.cli.tokens import rotate
from gda.errors import NeedsConsent, Unavailable, UsageError
from gda.google.consent import READ_MAIL
from gda.sandbox.faults import Fault
from gda.settings import load_settings
from gda.store import ByHand, Preference, PushSubscription, Scope, Store, Waker, Wish, open_store
from gda.vault import Vault, new_key
from tests.builders import a_database
from tests.support.sandbox import RunningSandbox, running_sandbox

ADA = "ada@example.org"


@dataclass(frozen=True, slots=True)
class Desk:
    """What ``gda connect`` finds: its settings in the environment, and ada in its database."""

    google: RunningSandbox
    store: Store
    capsys: pytest.CaptureFixture[str]

    async def address(self) -> str:
        """The address that the command prints, once it has."""
        for _ in range(500):
            if found := re.search(r"open this: (\S+)", self.capsys.readouterr().err):
                return found[1]
            await asyncio.sleep(0.02)
        raise AssertionError("no address was printed")


@asynccontextmanager
async def a_desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Desk]:
    async with running_sandbox() as google:
        given = {
            "GOOGLE_AUTH_URL": f"{google.http}/o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{google.http}/token",
            "GOOGLE_API_URL": google.http,
            "GOOGLE_CLIENT_ID": "gda-sandbox",
            "GOOGLE_CLIENT_SECRET": "sandbox-secret",
        }
        for name, value in given.items():
            monkeypatch.setenv(f"GDA_{name}", value)
        google.sandbox.open_account(ADA)
        async with a_database(load_settings().database), open_store(load_settings()) as store:
            await store.users.add(ADA, timezone="UTC")
            yield Desk(google, store, capsys)


async def browsed(address: str) -> httpx.Response:
    """What a browser sees that follows the address to the end."""
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        return await browser.get(address)


async def connected(desk: Desk, **options: object) -> httpx.Response:
    """Run the command, with a browser that goes where it is told to."""
    command = asyncio.create_task(connect("ada", no_browser=True, **options))  # type: ignore[arg-type]
    page = await browsed(await desk.address())
    await command
    return page


async def test_a_user_who_consents_has_sealed_tokens_and_held_work_goes_on(monkeypatch, capsys):
    async with a_desk(monkeypatch, capsys) as desk:
        for kind in ("digest", "novel-events"):
            await desk.store.schedules.set(Wish("ada", kind, "daily 07:30"))
            await desk.store.ledger.promise_by_hand(Scope(kind, user_id="ada"), ByHand(), Waker("hand"))
        assert len(await desk.store.ledger.hold("consent:google", user_id="ada")) == 2
        await desk.store.users.set_status("ada", "needs-consent")
        page = await connected(desk, json=True)
        told = json.loads(capsys.readouterr().out)
        credential = await desk.store.credentials.get("ada")
        assert (await desk.store.users.get("ada")).status == "active"
    account = desk.google.sandbox.accounts.by_email(ADA)
    assert (told["account"], told["released"], told["expired"], told["lacking"]) == (ADA, 2, 0, [])
    assert told["waiting"] == [["digest", "default"], ["novel-events", "default"]]
    assert "You may close this page" in page.text
    assert credential is not None
    assert account is not None
    assert READ_MAIL in credential.scope
    vault = Vault.from_settings(load_settings())
    assert vault.open("ada", credential.refresh_token) == account.refresh_token
    assert account.refresh_token not in repr(credential)


async def test_a_user_who_refuses_is_told_and_nothing_is_stored(monkeypatch, capsys):
    async with a_desk(monkeypatch, capsys) as desk:
        desk.google.sandbox.faults.switch_on(Fault("access_denied"))
        with pytest.raises(NeedsConsent, match="refused in the browser"):
            await connected(desk)
        assert await desk.store.credentials.get("ada") is None


async def test_another_persons_account_is_refused_unless_it_is_meant(monkeypatch, capsys):
    async with a_desk(monkeypatch, capsys) as desk:
        desk.google.sandbox.open_account("eve@example.org")

        async def by(who: str, **options: object) -> None:
            command = asyncio.create_task(connect("ada", no_browser=True, **options))  # type: ignore[arg-type]
            await browsed((await desk.address()).replace("ada%40", f"{who}%40"))
            await command

        with pytest.raises(UsageError, match=r"granted to eve@example.org, but ada is ada@example.org"):
            await by("eve")
        assert await desk.store.credentials.get("ada") is None
        await by("eve", other_account=True)
        assert await desk.store.credentials.get("ada") is not None


async def test_nobody_waits_for_ever_and_strangers_at_the_port_change_nothing(monkeypatch, capsys):
    async with a_desk(monkeypatch, capsys) as desk:
        command = asyncio.create_task(connect("ada", no_browser=True, timeout=2))
        address = await desk.address()
        port = httpx.URL(address).params["redirect_uri"]
        stranger = await browsed(f"{port}?state=guessed&code=4/x")
        favicon = await browsed(f"{port}favicon.ico")
        assert (stranger.status_code, favicon.status_code) == (404, 404)
        assert port.startswith("http://127.0.0.1:")
        with pytest.raises(Unavailable, match="nobody granted access within 2 s"):
            await command
        with pytest.raises(httpx.ConnectError):
            await browsed(port)
        assert await desk.store.credentials.get("ada") is None


async def test_the_command_rotates_to_the_newest_key(monkeypatch, capsys):
    async with a_desk(monkeypatch, capsys) as desk:
        old, new = new_key(), new_key()
        monkeypatch.setenv("GDA_KEYS", old)
        await connected(desk)
        chats, seal = desk.store.notify_preferences, Vault([old]).seal
        await chats.put(Preference("ada", ("inbox", "chat"), chat_address=seal("ada", "tgram://secret")))
        await chats.subscribe(PushSubscription("browser", "ada", seal("ada", "its keys")))
        monkeypatch.setenv("GDA_KEYS", f"{new},{old}")
        await rotate()
        assert "tokens of 1 users and 2 addresses" in capsys.readouterr().out
        credential, chosen = await desk.store.credentials.get("ada"), await chats.get("ada")
        [browser] = await chats.subscriptions("ada")
        opened = Vault([new]).open
        assert credential is not None
        assert opened("ada", credential.refresh_token).startswith("1//sandbox-")
        assert chosen is not None
        assert opened("ada", chosen.chat_address or "") == "tgram://secret"
        assert opened("ada", browser.sealed) == "its keys"
