"""The token end point: turn a refresh token into an access token."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from gda.google.answers import classify_token
from gda.google.http import ask
from gda.google.messages import Malformed, read_json
from gda.settings import Settings

_USUAL_LIFE = 3600
_ENDPOINT = "google token"


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What the token end point granted; its tokens are masked in every text form.

    ``refresh_token`` is None where Google keeps the old one, which is the normal case. ``expires_at`` is aware.
    ``scope`` holds the granted scopes, space-separated, which may be fewer than were asked for.
    """

    access_token: SecretStr
    expires_at: datetime
    refresh_token: SecretStr | None
    scope: str


async def refresh(
    http: httpx.AsyncClient, settings: Settings, refresh_token: SecretStr, *, now: datetime
) -> TokenGrant:
    """Get a new access token.

    Args:
        http: the shared client.
        settings: token end point, client id and secret.
        refresh_token: the user's.
        now: the current instant, aware; the grant's expiry counts from it.

    Returns:
        The grant; store its refresh token if there is one, keep the old one if not.

    Raises:
        NeedsConsent: the refresh token is dead (revoked, six months unused, password changed).
        Transient: try again later.
        Permanent: client id, secret or scope are wrong for every user.
    """
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token.get_secret_value(),
        "client_id": settings.google_client_id,
        "client_secret": settings.google_client_secret.get_secret_value(),
    }
    request = http.build_request(
        "POST",
        settings.google_token_url,
        content=urlencode(form).encode("ascii"),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    return await ask(http, request, _ENDPOINT, lambda body: _grant(body, now), clock=lambda: now, judge=classify_token)


def _grant(body: bytes, now: datetime) -> TokenGrant:
    fields = read_json(body)
    try:
        access, renewed = fields["access_token"], fields.get("refresh_token")
        life = timedelta(seconds=int(fields.get("expires_in", _USUAL_LIFE)))
        if not access or not isinstance(access, str) or not isinstance(renewed, str | None):
            raise TypeError
        return TokenGrant(
            access_token=SecretStr(access),
            expires_at=now + life,
            refresh_token=SecretStr(renewed) if renewed else None,
            scope=str(fields.get("scope", "")),
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        raise Malformed("the answer is not a token grant") from None
