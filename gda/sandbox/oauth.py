"""Google's token end point, as far as a refresh needs it."""

import secrets
from urllib.parse import parse_qsl

from gda.sandbox.accounts import ACCESS_SECONDS, SCOPE
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, json_reply


def answer_token(sandbox: Sandbox, call: Call) -> tuple[str, Reply]:
    """Answer ``POST /token`` with a new access token.

    Args:
        sandbox: the state.
        call: its body is a form: client_id, client_secret, grant_type, refresh_token.

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
    if form.get("grant_type") != "refresh_token":
        return "", _refuse(400, "unsupported_grant_type", "Invalid grant_type: only refresh_token is spoken here.")
    account = sandbox.accounts.by_refresh_token(form.get("refresh_token", ""))
    if account is None:
        return "", _refuse(400, "invalid_grant", "Token has been expired or revoked.")
    token = sandbox.accounts.issue_access_token(account, call.now_ms, ACCESS_SECONDS)
    answer = {"access_token": token, "expires_in": ACCESS_SECONDS, "scope": SCOPE, "token_type": "Bearer"}
    return account.email, json_reply(answer)


def _refuse(status: int, error: str, description: str) -> Reply:
    return json_reply({"error": error, "error_description": description}, status)
