"""The token end point: turn a refresh token, or the code that consent gave, into an access token."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from gda.errors import Transient
from gda.google.answers import classify_token
from gda.google.http import accepted, ask, exchange, readable
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
        ClientRefused: client id or secret are wrong, for every user.
        Permanent: the request is wrong otherwise.
    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token.get_secret_value()}
    request = _request(http, settings, form)
    return await ask(http, request, _ENDPOINT, lambda body: _grant(body, now), clock=lambda: now, judge=classify_token)


async def exchange_code(
    http: httpx.AsyncClient, settings: Settings, code: SecretStr, verifier: str, redirect_uri: str, *, now: datetime
) -> TokenGrant:
    """Exchange the code that a user's consent gave for tokens. It works once, so that it is sent once.

    Args:
        http: the shared client.
        settings: token end point, client id and secret.
        code: what the browser came back with.
        verifier: the PKCE verifier whose challenge was sent (RFC 7636 section 4.5).
        redirect_uri: where the browser came back to, exactly as it was sent.
        now: the current instant, aware; the grant's expiry counts from it.

    Returns:
        The grant; its refresh token is there where the request was for offline access.

    Raises:
        NeedsConsent: the code was used or is too old, or the verifier is another's.
        Transient: the token end point does not answer; ask the user again.
        ClientRefused: client id or secret are wrong.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code.get_secret_value(),
        "code_verifier": verifier,
        "redirect_uri": redirect_uri,
    }
    outcome = await exchange(http, _request(http, settings, form))
    body = accepted(outcome, _ENDPOINT, lambda: now, classify_token)
    grant = readable(body, _ENDPOINT, lambda read: _grant(read, now))
    if isinstance(grant, Transient):
        raise grant
    return grant


def _request(http: httpx.AsyncClient, settings: Settings, form: dict[str, str]) -> httpx.Request:
    client = {
        "client_id": settings.google_client_id,
        "client_secret": settings.google_client_secret.get_secret_value(),
    }
    return http.build_request(
        "POST",
        settings.google_token_url,
        content=urlencode(form | client).encode("ascii"),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


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
