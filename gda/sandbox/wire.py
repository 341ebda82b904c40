"""Calls and replies between the ASGI application and the handlers, and Google's way of writing an error."""

from dataclasses import dataclass, replace
from typing import Any

import orjson

JSON = b"application/json; charset=UTF-8"

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, or one part of a batch; ``token`` is the bearer token or empty, ``now_ms`` epoch milliseconds."""

    method: str
    path: str
    query: str
    token: str
    body: bytes
    now_ms: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; ``delay`` in seconds before it starts, ``bytes_per_second`` 0 for all at once."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    delay: float = 0.0
    bytes_per_second: int = 0


def json_reply(value: Any, status: int = 200) -> Reply:
    """Answer with JSON."""
    return Reply(status, orjson.dumps(value))


def google_error(status: int, reason: str, message: str) -> Reply:
    """Answer with an error as Google's JSON APIs write it (developers.google.com/gmail/api/guides/handle-errors)."""
    error = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
        "status": _STATUS_NAMES.get(status, "UNKNOWN"),
    }
    return Reply(status, orjson.dumps({"error": error}))


def with_header(reply: Reply, name: bytes, value: bytes) -> Reply:
    """Return the reply with one header more."""
    return replace(reply, headers=(*reply.headers, (name, value)))


def bearer_token(authorization: bytes) -> str:
    """Return the token of an ``Authorization: Bearer`` header's value; empty when it is of another kind."""
    scheme, _, token = authorization.strip().partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
