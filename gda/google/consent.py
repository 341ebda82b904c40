"""How a user grants access: the installed-app flow with PKCE, as pure steps.

Sources: OAuth 2.0 for native apps (RFC 8252), PKCE (RFC 7636), and Google's "OAuth 2.0 for Mobile & Desktop Apps".
"""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gda.errors import NeedsConsent, UsageError
from gda.settings import Settings

_AUTH = "https://www.googleapis.com/auth/"
READ_MAIL = f"{_AUTH}gmail.readonly"
READ_CALENDARS = f"{_AUTH}calendar.readonly"
WHAT_FOR: Mapping[str, str] = {READ_MAIL: "reading mail", READ_CALENDARS: "reading calendars"}
"""The scopes GDA asks for, the least that its kinds work with, and what they are for."""

_VERIFIER_BYTES = 64
_CODE = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Question:
    """One request for consent: where the browser comes back to, and the two secrets that tie the answer to it."""

    redirect_uri: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(_VERIFIER_BYTES), repr=False)
    """Proves that whoever exchanges the code asked for it: 86 characters, of 43 to 128 that are allowed."""
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def challenge(self) -> str:
        """What the verifier is checked against (RFC 7636 section 4.2, S256)."""
        return challenge_of(self.verifier)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier: its SHA-256 in base64url without padding."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def address_of(question: Question, settings: Settings, email: str) -> str:
    """The web address at which a user is asked.

    ``access_type=offline`` with ``prompt=consent`` makes Google give a refresh token each time, not only the first.

    Args:
        question: what ties the answer to this request.
        settings: the consent page and the client id.
        email: the account that is meant; Google chooses it where the user is signed in with several.
    """
    query = {
        "client_id": settings.google_client_id,
        "redirect_uri": question.redirect_uri,
        "response_type": "code",
        "scope": " ".join(WHAT_FOR),
        "state": question.state,
        "code_challenge": question.challenge,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": email,
    }
    return f"{settings.google_auth_url}?{urlencode(query)}"


def code_from(question: Question, answer: Mapping[str, str]) -> str | None:
    """Read what the browser came back with.

    Args:
        question: what was asked.
        answer: the query of the redirect.

    Returns:
        The code; None where the answer is not to this question, so that whoever else calls the port changes nothing.

    Raises:
        NeedsConsent: the user refused, or Google did.
    """
    if not secrets.compare_digest(answer.get("state", "").encode(), question.state.encode()):
        return None
    if "error" in answer:
        why = answer["error"] if _CODE.fullmatch(answer["error"]) else "an unreadable error"
        said = "access was refused in the browser" if why == "access_denied" else f"Google answered {why}"
        raise NeedsConsent(f"{said}: nothing was stored; run `gda connect` again when you mean to grant it")
    return answer.get("code") or None


def check_scopes(granted: str) -> tuple[str, ...]:
    """Judge what a user granted, who may untick single scopes on Google's page.

    Args:
        granted: scopes, space-separated, as the token end point names them.

    Returns:
        What the grant cannot be used for, in words; empty where it is whole.

    Raises:
        UsageError: mail cannot be read, without which there is no digest.
    """
    there = granted.split()
    if READ_MAIL not in there:
        raise UsageError(
            "the grant does not cover reading mail, without which there is no digest: nothing was stored; "
            "run `gda connect` again and tick it on Google's page"
        )
    return tuple(use for scope, use in WHAT_FOR.items() if scope not in there)
