"""What an answer of Google means, decided in this one place.

Sources: Gmail "Resolve errors" and OAuth 2.0 for native apps (developers.google.com), RFC 6749 section 5.2, RFC 9110
section 10.2.3 (Retry-After). An error's text holds the end point, the status and Google's reason code, nothing else of
the answer: messages of Google may quote addresses and queries.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import orjson

from gda.errors import ClientRefused, Gone, NeedsConsent, Permanent, ProviderError, QuotaExceeded, Transient

LONGEST_WAIT = timedelta(hours=1)
"""Google's own instants can be wrong (google-api-ruby-client #20544); the ledger asks again after at most this."""

_RATE = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
_DAILY = {"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded"}
_CONSENT = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
_CLIENT_FAULTS = {"invalid_client", "unauthorized_client"}
_PASSING_TOKEN_FAULTS = {"server_error", "temporarily_unavailable", "internal_failure"}
_PASSING_STATUSES = {408, 409, 425}

_REASON_CODE = re.compile(r"[A-Za-z_]{1,40}")
_INSTANT = re.compile(r"Retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z", re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,9}")


class AccessRefused(NeedsConsent):
    """HTTP 401: this access token is not accepted; a refreshed one may be, and if not the user must consent again."""


@dataclass(frozen=True, slots=True)
class _Fault:
    reasons: tuple[str, ...] = ()
    message: str = ""


def classify(
    status: int, headers: Mapping[str, str], body: object, now: datetime, *, endpoint: str = "Google"
) -> ProviderError:
    """Say what an API answer other than 2xx means.

    Args:
        status: the HTTP status, of the answer or of one part of a batch.
        headers: its headers; names in lower case, or a mapping that ignores case.
        body: bytes, text or the parsed JSON; anything unreadable counts as empty.
        now: the current instant, aware.
        endpoint: what was asked (``gmail messages.list``), for the error's text.

    Returns:
        The error to raise or to report; a ``Transient`` carries how long to wait, at most an hour.
    """
    fault = _api_fault(_parsed(body))
    text = _text(endpoint, status, fault)
    reasons = set(fault.reasons)
    if status == 401:
        return AccessRefused(text)
    if status in (403, 429) and reasons & _DAILY:
        return QuotaExceeded(text, LONGEST_WAIT)
    if status == 429 or (status == 403 and reasons & _RATE):
        return QuotaExceeded(text, _wait(headers, fault, now))
    if status == 403 and reasons & _CONSENT:
        return NeedsConsent(text)
    if status in (404, 410):
        return Gone(text)
    if status >= 500 or status in _PASSING_STATUSES:
        return Transient(text, _wait(headers, fault, now))
    return Permanent(text)


def classify_token(
    status: int, headers: Mapping[str, str], body: object, now: datetime, *, endpoint: str = "Google"
) -> ProviderError:
    """Say what an answer of the token end point other than 2xx means.

    Only ``invalid_grant`` means that the user must consent again; whatever a proxy in between may answer does not. A
    client that is refused is the operator's matter, for all users at once.

    Args: as for ``classify``.

    Returns:
        The error to raise.
    """
    fault = _token_fault(_parsed(body))
    text = _text(endpoint, status, fault)
    if "invalid_grant" in fault.reasons:
        return NeedsConsent(text)
    if not _CLIENT_FAULTS.isdisjoint(fault.reasons):
        return ClientRefused(text)
    if status == 429 or "rate_limit_exceeded" in fault.reasons:
        return QuotaExceeded(text, _wait(headers, fault, now))
    if status >= 500 or status in _PASSING_STATUSES or not _PASSING_TOKEN_FAULTS.isdisjoint(fault.reasons):
        return Transient(text, _wait(headers, fault, now))
    if status == 403 and not fault.reasons:
        return Transient(text)
    return Permanent(text)


def _parsed(body: object) -> object:
    if not isinstance(body, bytes | str):
        return body
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _api_fault(body: object) -> _Fault:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return _Fault()
    message = error.get("message")
    return _Fault(tuple(_reasons(error)), message if isinstance(message, str) else "")


def _reasons(error: dict[str, object]) -> Iterator[str]:
    for field in ("errors", "details"):
        entries = error.get(field)
        for entry in entries if isinstance(entries, list) else ():
            reason = entry.get("reason") if isinstance(entry, dict) else None
            if isinstance(reason, str):
                yield reason
    status = error.get("status")
    if isinstance(status, str):
        yield status


def _token_fault(body: object) -> _Fault:
    error = body.get("error") if isinstance(body, dict) else None
    return _Fault((error,)) if isinstance(error, str) else _Fault()


def _text(endpoint: str, status: int, fault: _Fault) -> str:
    # A reason is shown only if it looks like a code, so that no server can write a token or an address into our logs.
    code = next((reason for reason in fault.reasons if _REASON_CODE.fullmatch(reason)), "")
    return f"{endpoint}: HTTP {status} {code}".rstrip()


def _wait(headers: Mapping[str, str], fault: _Fault, now: datetime) -> timedelta | None:
    """The larger of the header's wait and the message's instant: either alone was seen to be too short."""
    waits = [wait for wait in (_header_wait(headers.get("retry-after"), now), _message_wait(fault, now)) if wait]
    return min(max(waits), LONGEST_WAIT) if waits else None


def _header_wait(value: str | None, now: datetime) -> timedelta | None:
    if not value:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return timedelta(seconds=int(value))
    try:
        instant = parsedate_to_datetime(value)
    except ValueError:
        return None
    return _until(instant if instant.tzinfo else instant.replace(tzinfo=UTC), now)


def _message_wait(fault: _Fault, now: datetime) -> timedelta | None:
    found = _INSTANT.search(fault.message)
    if found is None:
        return None
    try:
        # A second is added because the fraction was cut off.
        instant = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
    return _until(instant, now)


def _until(instant: datetime, now: datetime) -> timedelta:
    return max(instant - now, timedelta(0))
