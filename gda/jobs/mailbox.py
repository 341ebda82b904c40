"""A user's mailbox and calendars for one attempt: an access token that is fresh enough, renewed once when refused."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import httpx
from pydantic import SecretStr

from gda.errors import NeedsConsent
from gda.google.calendar import Calendar
from gda.google.gmail import Gmail
from gda.jobs.tokens import Tokens, no_access
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
        self._tokens = Tokens(store, vault, http, settings)
        self._http = http
        self._settings = settings

    async def open(self, errand: Errand) -> Gmail:
        """Open the mailbox of an errand's user.

        Raises:
            NeedsConsent: the user never connected, or the grant is dead; noted on the credential.
            Transient: the token end point does not answer now.
            ClientRefused: it refuses GDA's client; the operator is told.
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
            raise NeedsConsent(no_access(errand.user.id))
        if not fresh(credential, errand.now):
            credential = await self._tokens.renew(credential)
        last = credential

        async def renew() -> SecretStr:
            nonlocal last
            last = await self._tokens.renew(last)
            return self._tokens.open(last)

        return self._tokens.open(credential), renew


def fresh(credential: Credential, now: datetime) -> bool:
    """Whether a credential's token lasts for a whole attempt."""
    expires_at = credential.expires_at
    return credential.access_token is not None and expires_at is not None and expires_at - now > FRESH_ENOUGH
