"""``gda connect``: a user grants access in the browser, and what was held for want of it goes on."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gda.cli.drains import ask_for_drain
from gda.cli.output import Flag, Json, show_fields, show_json
from gda.cli.run import say, settings, store
from gda.errors import UsageError

if TYPE_CHECKING:
    import httpx

    from gda.google.oauth import TokenGrant
    from gda.settings import Settings
    from gda.store import Credential, Store, User
    from gda.vault import Vault

PATIENCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Connected:
    """What a grant led to: ``lacking`` is what it cannot be used for, ``waiting`` kind and queue of what goes on."""

    user: str
    account: str
    lacking: tuple[str, ...]
    released: int
    expired: int
    waiting: tuple[tuple[str, str], ...]


async def connect(
    user: str,
    /,
    *,
    no_browser: Flag = False,
    timeout: float = PATIENCE_SECONDS,
    other_account: Flag = False,
    json: Json = False,
) -> None:
    """Let a person grant GDA access to their Google account, in a browser on this machine.

    Args:
        user: Id or address.
        no_browser: Print the address only; open it in a browser of this machine.
        timeout: Seconds to wait for the person.
        other_account: The account may bear another address than the person has here.
        json: Print JSON.
    """
    if not 0 < timeout <= 86_400:
        raise UsageError(f"--timeout {timeout:g}: wait for more than 0 and at most 86400 seconds")
    given = settings()
    if not given.google_client_id:
        raise UsageError(
            "there is no OAuth client yet: make one of type Desktop app in Google's console, and set "
            "GDA_GOOGLE_CLIENT_ID and GDA_GOOGLE_CLIENT_SECRET"
        )
    async with store(given) as opened:
        person = await opened.users.get(user)
        done = await grant_access(
            given, opened, person, browser=not no_browser, timeout=timeout, other_account=other_account
        )
    if json:
        show_json(done)
    else:
        show_fields({"connected": done.user, "account": done.account, "released": done.released})
    for use in done.lacking:
        say(f"not granted: {use}; run `gda connect {done.user}` again to grant it")
    for kind, queue in done.waiting:
        await ask_for_drain(kind, queue)


async def grant_access(
    given: "Settings", opened: "Store", person: "User", *, browser: bool, timeout: float, other_account: bool
) -> Connected:
    """Ask for consent, exchange the code, check what was granted, and keep it.

    Raises:
        NeedsConsent: access was refused.
        UsageError: too little was granted, or for somebody else's account.
        Unavailable: nobody answered in time.
        ProviderError: Google refused or failed.
    """
    from gda.google.consent import check_scopes
    from gda.google.http import open_http
    from gda.vault import Vault

    vault = Vault.from_settings(given)
    async with open_http(given) as http:
        grant = await ask_person(given, http, opened, person, browser=browser, timeout=timeout)
        lacking = check_scopes(grant.scope)
        account = await account_of(given, http, grant)
    if account != person.email.lower() and not other_account:
        raise UsageError(
            f"access was granted to {account}, but {person.id} is {person.email}: nothing was stored; choose that "
            "account in the browser, or say --other-account if both are the same person's"
        )
    released, expired = await opened.consent.granted(_sealed(vault, person.id, grant))
    ready = [await opened.ledger.get(each) for each in released]
    waiting = sorted({(each.kind, each.queue) for each in ready})
    return Connected(person.id, account, lacking, len(released), len(expired), tuple(waiting))


async def ask_person(
    given: "Settings", http: "httpx.AsyncClient", store: "Store", person: "User", *, browser: bool, timeout: float
) -> "TokenGrant":
    """Send the browser to Google, and exchange the code that it brings back."""
    from pydantic import SecretStr

    from gda.google.consent import Question, address_of, code_from
    from gda.google.oauth import exchange_code
    from gda.google.redirect import listening

    async with listening() as redirect:
        question = Question(redirect.uri)
        redirect.read = lambda answer: code_from(question, answer)
        address = address_of(question, given, person.email)
        shown = browser and await asyncio.to_thread(_open_browser, address)
        say(f"waiting for {person.email} to grant access in the browser" if shown else f"open this: {address}")
        code = await redirect.wait(timeout)
    now = await store.ledger.now()
    return await exchange_code(http, given, SecretStr(code), question.verifier, redirect.uri, now=now)


async def account_of(given: "Settings", http: "httpx.AsyncClient", grant: "TokenGrant") -> str:
    """The address of the account that a grant opens, in lower case."""
    from gda.google.gmail import Gmail

    return (await Gmail(http, given, grant.access_token).profile()).email_address.lower()


def _open_browser(address: str) -> bool:
    import webbrowser

    return webbrowser.open(address)


def _sealed(vault: "Vault", user_id: str, grant: "TokenGrant") -> "Credential":
    from gda.store import Credential

    if grant.refresh_token is None:
        raise UsageError(
            "Google gave no refresh token: nothing was stored; remove GDA at myaccount.google.com/permissions and run "
            "`gda connect` again"
        )
    return Credential(
        user_id,
        "google",
        refresh_token=vault.seal(user_id, grant.refresh_token.get_secret_value()),
        access_token=vault.seal(user_id, grant.access_token.get_secret_value()),
        expires_at=grant.expires_at,
        status="active",
        scope=grant.scope,
    )
