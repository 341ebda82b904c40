"""Google's token end point: a refresh token or a code from the consent page becomes an access token."""

import secrets
from urllib.parse import parse_qsl

from gda.sandbox.accounts import ACCESS_SECONDS, SCOPE, Account
from gda.sandbox.consent import take_code
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, json_reply


def answer_token(sandbox: Sandbox, call: Call) -> tuple[str, Reply]:
    """Answer ``POST /token`` with a new access token.

    Args:
        sandbox: the state.
        call: its body is a form: client_id, client_secret, grant_type, and refresh_token or code, code_verifier and
            redirect_uri.

    Returns:
        The account's address (empty when no account was recognised) and the reply, errors as RFC 6749 5.2 names them.
    """
    if call.method != "POST":
        return "", _refuse(405, "invalid_request", "use POST")
    form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
    known = secrets.compare_digest(form.get("client_id", "").encode(), sandbox.client_id.encode())
    proven = secrets.compare_digest(form.get("client_secret", "").encode(), sandbox.client_secret.encode())
    if not (known and proven):
        return "", _refuse(401, "invalid_client", "The OAuth client was not found.")
    match form.get("grant_type"):
        case "refresh_token":
            return _refresh(sandbox, form, call.now_ms)
        case "authorization_code":
            return _exchange(sandbox, form, call.now_ms)
    return "", _refuse(400, "unsupported_grant_type", "Invalid grant_type: refresh_token, authorization_code.")


def _refresh(sandbox: Sandbox, form: dict[str, str], now_ms: int) -> tuple[str, Reply]:
    account = sandbox.accounts.by_refresh_token(form.get("refresh_token", ""))
    if account is None:
        return "", _refuse(400, "invalid_grant", "Token has been expired or revoked.")
    sandbox.refreshes[account.email] += 1
    return account.email, json_reply(_tokens(sandbox, account, SCOPE, now_ms))


def _exchange(sandbox: Sandbox, form: dict[str, str], now_ms: int) -> tuple[str, Reply]:
    code = take_code(sandbox, form, now_ms)
    if code is None:
        return "", _refuse(400, "invalid_grant", "Malformed auth code.")
    tokens = _tokens(sandbox, code.account, code.scope, now_ms)
    return code.account.email, json_reply({**tokens, "refresh_token": code.account.refresh_token})


def _tokens(sandbox: Sandbox, account: Account, scope: str, now_ms: int) -> dict[str, object]:
    token = sandbox.accounts.issue_access_token(account, now_ms, ACCESS_SECONDS)
    return {"access_token": token, "expires_in": ACCESS_SECONDS, "scope": scope, "token_type": "Bearer"}


def _refuse(status: int, error: str, description: str) -> Reply:
    return json_reply({"error": error, "error_description": description}, status)
