"""Google's page where a person grants access: whoever is hinted at consents at once, and the browser goes back.

It keeps what OAuth 2.0 for native apps demands of Google: loopback redirects alone (RFC 8252 section 7.3), codes that
work once, soon, and only with the PKCE verifier that they were asked for with (RFC 7636 section 4.6).
"""

import hashlib
import html
import secrets
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit

from gda.loopback import is_loopback
from gda.sandbox.accounts import SCOPE, Code
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply

PATH = "/o/oauth2/v2/auth"
CODE_SECONDS = 600
_PAGE = b"text/html; charset=UTF-8"


def answer_consent(sandbox: Sandbox, call: Call) -> tuple[str, Reply]:
    """Answer ``GET /o/oauth2/v2/auth``.

    Args:
        sandbox: the state.
        call: its query is as Google wants it: client_id, redirect_uri, response_type, scope, state, code_challenge,
            code_challenge_method, login_hint.

    Returns:
        The account's address (empty when none was chosen) and the reply: a redirect with a code, a page on which to
        choose an account where ``login_hint`` names none, or a page that says what is wrong with the request.
    """
    asked = dict(parse_qsl(call.query, keep_blank_values=True))
    if problem := _problem(sandbox, asked):
        return "", _page(400, f"<h1>Access blocked</h1><p>Error 400: {html.escape(problem)}</p>")
    account = sandbox.accounts.by_email(asked.get("login_hint", ""))
    if account is None:
        return "", _choice(sandbox, asked)
    if sandbox.faults.take("access_denied", "auth", account.email):
        return account.email, _back(asked, {"error": "access_denied"})
    # Consent that was withdrawn is given again; Google would draw a new refresh token, here the old one works again.
    sandbox.set_revoked(account, False)
    granted = " ".join(one for one in asked.get("scope", "").split() if one in SCOPE.split())
    code = f"4/sandbox-{secrets.token_urlsafe(24)}"
    method = asked.get("code_challenge_method", "plain")
    sandbox.accounts.codes[code] = Code(
        account,
        asked["redirect_uri"],
        asked.get("code_challenge", ""),
        method,
        granted,
        call.now_ms + CODE_SECONDS * 1000,
    )
    return account.email, _back(asked, {"code": code, "scope": granted})


def take_code(sandbox: Sandbox, form: dict[str, str], now_ms: int) -> Code | None:
    """Return what the form's code stands for, and forget it; None where code, verifier or redirect do not fit."""
    code = sandbox.accounts.codes.pop(form.get("code", ""), None)
    if code is None or code.expires_ms <= now_ms:
        return None
    fits = code.redirect_uri == form.get("redirect_uri") and proves(code, form.get("code_verifier", ""))
    return code if fits else None


def proves(code: Code, verifier: str) -> bool:
    """Tell whether the verifier is the one that the code was asked for with."""
    if not code.challenge:
        return not verifier
    if code.method == "S256":
        verifier = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return secrets.compare_digest(verifier.encode(), code.challenge.encode())


def _problem(sandbox: Sandbox, asked: dict[str, str]) -> str:
    redirect = urlsplit(asked.get("redirect_uri", ""))
    if asked.get("client_id") != sandbox.client_id:
        return "invalid_client"
    if redirect.scheme != "http" or not is_loopback(redirect.hostname or ""):
        return "redirect_uri_mismatch"
    if asked.get("response_type") != "code" or not asked.get("scope"):
        return "invalid_request"
    if asked.get("code_challenge_method", "plain") not in ("plain", "S256"):
        return "invalid_request"
    return ""


def _choice(sandbox: Sandbox, asked: dict[str, str]) -> Reply:
    links = {one.email: f"{PATH}?{urlencode({**asked, 'login_hint': one.email})}" for one in sandbox.accounts.all()}
    lines = [f'<li><a href="{html.escape(link)}">{html.escape(email)}</a></li>' for email, link in links.items()]
    return _page(200, f"<h1>Choose an account</h1><ul>{''.join(lines)}</ul>")


def _back(asked: dict[str, str], answer: dict[str, str]) -> Reply:
    if "state" in asked:
        answer = {**answer, "state": asked["state"]}
    place = f"{asked['redirect_uri']}?{urlencode(answer)}".encode("ascii", "ignore")
    return Reply(302, b"", _PAGE, headers=((b"location", place), (b"cache-control", b"no-store")))


def _page(status: int, content: str) -> Reply:
    return Reply(status, f"<!doctype html><title>Sandbox sign-in</title>{content}".encode(), _PAGE)
