"""From a call to its reply: find the end point, check the token, count, and let the switched-on faults strike."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil

from gda.sandbox import calendar, gmail
from gda.sandbox.consent import answer_consent
from gda.sandbox.oauth import answer_token
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, google_error, with_header


def answer_call(sandbox: Sandbox, call: Call) -> Reply:
    """Answer one call of Gmail or Calendar, alone or as part of a batch."""
    of_calendar = call.path.startswith(calendar.PREFIX)
    found = (calendar.find_endpoint if of_calendar else gmail.find_endpoint)(call.method, call.path)
    perform = calendar.perform if of_calendar else gmail.perform
    if found is None:
        sandbox.requests["unknown"] += 1
        return google_error(404, "notFound", "Not Found")
    endpoint, handler, ids = found
    sandbox.requests[endpoint] += 1
    account = sandbox.accounts.by_access_token(call.token, call.now_ms)
    if account is None:
        return unauthenticated()
    if not sandbox.faults:
        return perform(sandbox, handler, account, call, ids)
    owner = account

    def produce() -> Reply:
        return perform(sandbox, handler, owner, call, ids)

    return with_faults(sandbox, endpoint, owner.email, call.now_ms, produce)


def answer_refresh(sandbox: Sandbox, call: Call) -> Reply:
    """Answer a call to the token end point; a user-bound fault strikes where the token names that user."""
    sandbox.requests["token"] += 1
    user, reply = answer_token(sandbox, call)
    return with_faults(sandbox, "token", user, call.now_ms, lambda: reply) if sandbox.faults else reply


def answer_sign_in(sandbox: Sandbox, call: Call) -> Reply:
    """Answer a browser that asks for consent; a user-bound fault strikes where the request hints at that user."""
    sandbox.requests["auth"] += 1
    user, reply = answer_consent(sandbox, call)
    return with_faults(sandbox, "auth", user, call.now_ms, lambda: reply) if sandbox.faults else reply


def unauthenticated() -> Reply:
    """Return Google's answer to a missing, expired or revoked access token."""
    text = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential."
    )
    return with_header(google_error(401, "authError", text), b"www-authenticate", b'Bearer realm="gda sandbox"')


def with_faults(sandbox: Sandbox, endpoint: str, user: str, now_ms: int, produce: Callable[[], Reply]) -> Reply:
    """Return what ``produce`` answers, or what the faults that strike make of it.

    Args:
        sandbox: whose faults.
        endpoint: where, one of ``faults.ENDPOINTS``.
        user: the account concerned; empty when unknown.
        now_ms: epoch milliseconds.
        produce: carries the request out; not called where a fault answers in its place.
    """
    faults = sandbox.faults
    slow = faults.take("slow", endpoint, user)
    limited = faults.take("rate_limit", endpoint, user)
    broken = None if limited else faults.take("server_error", endpoint, user)
    if limited:
        reply = _rate_limited(now_ms, limited.retry_after)
    elif broken:
        if broken.after:
            produce()
        reply = google_error(broken.status, "backendError", "Backend Error")
    else:
        reply = produce()
        if faults.take("malformed", endpoint, user):
            reply = replace(reply, body=reply.body[: len(reply.body) // 2] + b'{"')
    if slow:
        reply = replace(reply, delay=slow.seconds, bytes_per_second=slow.bytes_per_second)
    return reply


def _rate_limited(now_ms: int, retry_after: float) -> Reply:
    instant = datetime.fromtimestamp(now_ms / 1000 + retry_after, UTC)
    text = f"User-rate limit exceeded.  Retry after {instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"
    return with_header(google_error(429, "rateLimitExceeded", text), b"retry-after", str(ceil(retry_after)).encode())
