"""A user's mailbox and calendars for one attempt: an access token that is fresh enough, renewed once when refused."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import httpx
from pydantic import SecretStr

from gda.errors import NeedsConsent
from gda.google.calendar import Calendar
from gda.google.gmail import Gmail
from gda.google.oauth import refresh
from gda.settings import Settings
from gda.store import Credential, Errand, Store
from gda.vault import Vault

Renew = Callable[[], Awaitable[SecretStr]]

# A token that expires within this time is renewed first, so that it lasts for the whole attempt.
FRESH_ENOUGH = timedelta(minutes=5)


class Mailboxes:
    """Opens users' mailboxes with their stored credentials.

    Args:
        store: where credentials lie, sealed.
        vault: seals and opens them.
        http: the process's shared client.
        settings: Google's end points.
    """

    def __init__(self, store: Store, vault: Vault, http: httpx.AsyncClient, settings: Settings) -> None:
        self._store = store
        self._vault = vault
        self._http = http
        self._settings = settings

    async def open(self, errand: Errand) -> Gmail:
        """Open the mailbox of an errand's user.

        Raises:
            NeedsConsent: the user never connected, or the grant is dead; noted on the credential.
            Transient: the token end point does not answer now.
            Permanent: it refuses GDA's client.
        """
        token, renew = await self._access(errand)
        return Gmail(self._http, self._settings, token, renew=renew)

    async def open_with_calendars(self, errand: Errand) -> tuple[Gmail, Calendar]:
        """Open mailbox and calendars of an errand's user with one token. Raises as ``open``."""
        token, renew = await self._access(errand)
        return (
            Gmail(self._http, self._settings, token, renew=renew),
            Calendar(self._http, self._settings, token, renew=renew),
        )

    async def _access(self, errand: Errand) -> tuple[SecretStr, Renew]:
        credential = errand.credential
        if credential is None or credential.status != "active":
            raise NeedsConsent(
                f"user {errand.user.id} has not granted access to Google: run `gda connect {errand.user.id}`"
            )
        token = await self._access_token(credential, errand.now)

        async def renew() -> SecretStr:
            return await self._renew(credential)

        return token, renew

    async def _access_token(self, credential: Credential, now: datetime) -> SecretStr:
        if credential.access_token and credential.expires_at and credential.expires_at - now > FRESH_ENOUGH:
            return SecretStr(self._vault.open(credential.user_id, credential.access_token))
        return await self._renew(credential)

    async def _renew(self, credential: Credential) -> SecretStr:
        user = credential.user_id
        old = SecretStr(self._vault.open(user, credential.refresh_token))
        try:
            grant = await refresh(self._http, self._settings, old, now=await self._store.ledger.now())
        except NeedsConsent:
            await self._store.credentials.revoked(user)
            raise
        new = grant.refresh_token
        await self._store.credentials.refreshed(
            user,
            access_token=self._vault.seal(user, grant.access_token.get_secret_value()),
            expires_at=grant.expires_at,
            refresh_token=self._vault.seal(user, new.get_secret_value()) if new else None,
        )
        return grant.access_token
