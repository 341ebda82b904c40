"""The one place that says what an answer of Google means."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from gda.errors import ClientRefused, Gone, NeedsConsent, Permanent, ProviderError, QuotaExceeded, Transient
from gda.google.answers import LONGEST_WAIT, AccessRefused, classify, classify_token

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CANARY = "ya29.canary-4711"


def api_error(reason: str = "", message: str = "", status: str = "") -> bytes:
    return orjson.dumps({"error": {"errors": [{"reason": reason}], "message": message, "status": status}})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, api_error("authError"), AccessRefused),
        (403, api_error("rateLimitExceeded"), QuotaExceeded),
        (403, api_error("userRateLimitExceeded"), QuotaExceeded),
        (429, api_error(status="RESOURCE_EXHAUSTED"), QuotaExceeded),
        (403, api_error("dailyLimitExceeded"), QuotaExceeded),
        (403, api_error("domainPolicy"), Permanent),
        (403, api_error("accessNotConfigured"), Permanent),
        (403, api_error("insufficientPermissions"), NeedsConsent),
        (403, b"<html>", Permanent),
        (404, api_error("notFound"), Gone),
        (410, api_error("fullSyncRequired"), Gone),
        (400, api_error("failedPrecondition"), Permanent),
        (302, b"", Permanent),
        (408, b"", Transient),
        (500, b"", Transient),
        (503, b"\xff{", Transient),
    ],
)
def test_an_api_answer_means(status: int, body: bytes, kind: type[ProviderError]) -> None:
    assert type(classify(status, {}, body, NOW)) is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, NeedsConsent),
        (400, {"error": "invalid_grant", "error_subtype": "invalid_rapt"}, NeedsConsent),
        (401, {"error": "invalid_client"}, ClientRefused),
        (400, {"error": "unauthorized_client"}, ClientRefused),
        (400, {"error": "invalid_scope"}, Permanent),
        (400, {"error": "server_error"}, Transient),
        (400, {"error": "temporarily_unavailable"}, Transient),
        (400, {"error": "internal_failure"}, Transient),
        (429, {}, QuotaExceeded),
        (503, {}, Transient),
        (401, {}, Permanent),
        (403, "a proxy's page", Transient),
    ],
)
def test_a_token_answer_means(status: int, body: object, kind: type[ProviderError]) -> None:
    assert type(classify_token(status, {}, orjson.dumps(body), NOW)) is kind


@pytest.mark.parametrize(
    ("header", "message", "wait"),
    [
        ("120", "", timedelta(minutes=2)),
        ("Sun, 01 Mar 2026 12:05:00 GMT", "", timedelta(minutes=5)),
        ("60", "User-rate limit exceeded.  Retry after 2026-03-01T12:14:59.500Z", timedelta(minutes=15)),
        ("1800", "User-rate limit exceeded.  Retry after 2026-03-01T12:14:59Z", timedelta(minutes=30)),
        ("999999", "", LONGEST_WAIT),
        ("", "Retry after 2036-03-01T12:00:00Z", LONGEST_WAIT),
        ("", "Retry after 2020-03-01T12:00:00Z", None),
        ("soon", "Retry after 2026-99-99T12:00:00Z", None),
        ("", "", None),
    ],
)
def test_the_larger_wait_counts_up_to_an_hour(header: str, message: str, wait: timedelta | None) -> None:
    error = classify(429, {"retry-after": header}, api_error("rateLimitExceeded", message), NOW)
    assert isinstance(error, QuotaExceeded)
    assert error.retry_after == wait


def test_a_server_error_may_name_a_wait_too() -> None:
    error = classify(503, {"retry-after": "30"}, b"", NOW)
    assert isinstance(error, Transient)
    assert error.retry_after == timedelta(seconds=30)


def test_a_daily_limit_waits_as_long_as_is_allowed() -> None:
    error = classify(403, {"retry-after": "1"}, api_error("dailyLimitExceeded"), NOW)
    assert isinstance(error, QuotaExceeded)
    assert error.retry_after == LONGEST_WAIT


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5000,
        b"null",
        b'{"error": 7}',
        b'{"error": {"errors": {"reason": 1}, "details": [null, {"reason": []}], "message": [], "status": 3}}',
        {"error": {"errors": [7]}},
        None,
    ],
)
@pytest.mark.parametrize("judge", [classify, classify_token])
def test_no_body_is_too_strange_to_classify(judge: type, body: object) -> None:
    assert isinstance(judge(429, {}, body, NOW), QuotaExceeded)


def test_the_text_holds_status_reason_and_end_point_only() -> None:
    body = api_error("rateLimitExceeded", f"quota of someone@example.com with {CANARY}")
    assert str(classify(403, {"x": CANARY}, body, NOW, endpoint="gmail messages.list")) == (
        "gmail messages.list: HTTP 403 rateLimitExceeded"
    )


@pytest.mark.parametrize("reason", [CANARY, "someone@example.com", "a b", "x" * 41])
def test_a_reason_that_is_no_code_is_not_shown(reason: str) -> None:
    assert str(classify(403, {}, api_error(reason), NOW)) == "Google: HTTP 403"
    assert str(classify_token(400, {}, orjson.dumps({"error": reason}), NOW)) == "Google: HTTP 400"
