"""Access tokens: the one way to a new one, whoever asks, and what follows when Google refuses.

A token is refreshed by whoever gets the turn in the database; all others wait for what comes of it. A dead grant holds
its user's work and tells the user once; a refused client holds everybody's and tells the operator once.
"""

import asyncio
from datetime import timedelta

import httpx
from pydantic import SecretStr

from gda.errors import ClientRefused, NeedsConsent, Occupied, Transient
from gda.google.oauth import TokenGrant, refresh
from gda.jobs import DIGEST, NOVEL_EVENTS, TOKEN_REFRESH
from gda.lifecycle import CLIENT
from gda.settings import Settings
from gda.store import Busy, Credential, Defaults, Dying, Renewed, Store, Turn, Wanted
from gda.vault import Vault

LEASE = timedelta(seconds=60)
"""How long a refresh keeps others waiting at most, if its process dies."""
LONGEST_CALL = 45.0
"""A refresh ends before its lease does, so that no two are under way."""
PATIENCE = 15.0
"""Who waits for longer gives the process back and tries again later."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
NEEDING_GOOGLE = (DIGEST, NOVEL_EVENTS, TOKEN_REFRESH)
"""What is held when a grant dies; reminders and to-dos go on."""


class Tokens:
    """New access tokens for stored credentials.

    Args:
        store: where credentials lie, sealed.
        vault: seals and opens them.
        http: the process's shared client.
        settings: Google's end points and client.
    """

    def __init__(self, store: Store, vault: Vault, http: httpx.AsyncClient, settings: Settings) -> None:
        self._store = store
        self._vault = vault
        self._http = http
        self._settings = settings
        self._client_works = False

    def open(self, credential: Credential) -> SecretStr:
        """The access token of a credential that has one. Raises UsageError when no key fits."""
        return SecretStr(self._vault.open(credential.user_id, credential.access_token or ""))

    async def renew(self, seen: Credential) -> Credential:
        """Get another token than the one seen, refreshed here or by whoever is at it.

        Args:
            seen: the credential whose token is too old, or was refused.

        Returns:
            The credential with a newer token.

        Raises:
            NeedsConsent: there is no grant any more; that was noted, and the user is told.
            ClientRefused: Google refuses GDA itself; the operator is told.
            Transient: Google takes too long.
            Occupied: whoever has the turn takes too long, perhaps because its process died.
            UsageError: no key opens the refresh token.
        """
        pause, clock = FIRST_PAUSE, asyncio.get_running_loop().time
        end = clock() + PATIENCE
        while True:
            answer = await self._store.token_refresh.begin(Wanted(seen.user_id, seen.access_token, LEASE))
            match answer:
                case None:
                    raise NeedsConsent(no_access(seen.user_id))
                case Turn():
                    return await self._refresh(answer)
                case Busy(until, now) if clock() >= end:
                    wait = max(until - now, timedelta(seconds=1))
                    raise Occupied(f"another process has been refreshing the token of {seen.user_id} too long", wait)
                case Busy():
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                case Credential():
                    return answer

    async def _refresh(self, turn: Turn) -> Credential:
        try:
            grant = await self._ask(turn)
        except NeedsConsent:
            await self._store.consent.withdrawn(turn, dying(self._settings))
            raise
        except Exception as error:
            await self._store.token_refresh.give_up(turn)
            if isinstance(error, ClientRefused):
                self._client_works = False
                await self._store.consent.alarm(dying(self._settings), client_refused(error))
            raise
        kept = await self._keep(turn, grant)
        if not self._client_works:
            self._client_works = True
            await self._store.ledger.release(CLIENT)
        return kept

    async def _ask(self, turn: Turn) -> TokenGrant:
        user = turn.credential.user_id
        old = SecretStr(self._vault.open(user, turn.credential.refresh_token))
        try:
            async with asyncio.timeout(LONGEST_CALL):
                return await refresh(self._http, self._settings, old, now=turn.now)
        except TimeoutError:
            raise Transient("google token: no answer in time") from None

    async def _keep(self, turn: Turn, grant: TokenGrant) -> Credential:
        user, new = turn.credential.user_id, grant.refresh_token
        renewed = Renewed(
            turn,
            access_token=self._vault.seal(user, grant.access_token.get_secret_value()),
            expires_at=grant.expires_at,
            refresh_token=self._vault.seal(user, new.get_secret_value()) if new else None,
        )
        kept = await self._store.token_refresh.finish(renewed)
        if kept is None:
            raise Occupied(f"the refresh of {user}'s token came too late: another process does it", timedelta(0))
        return kept


def no_access(user_id: str) -> str:
    """What to say of a user without a grant."""
    return f"user {user_id} has not granted access to Google: run `gda connect {user_id}`"


def client_refused(error: ClientRefused) -> str:
    """What the operator is told."""
    return (
        f"{error}: Google refuses GDA's OAuth client, for every user; correct GDA_GOOGLE_CLIENT_ID and "
        "GDA_GOOGLE_CLIENT_SECRET (and run `gda apply --system` where blocks carry them), then replay this"
    )


def dying(settings: Settings) -> Dying:
    """What happens when a grant dies, under these settings."""
    defaults = Defaults(settings.timeout_seconds, settings.retry_attempts)
    return Dying(NEEDING_GOOGLE, TOKEN_REFRESH, "default", defaults)
