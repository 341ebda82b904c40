"""Web Push against the examples of its RFCs, and what a browser's own keys make of it."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from gda.errors import Gone, InDoubt, Permanent, Transient, UsageError
from gda.google.http import Answer, Lost
from gda.notify.push import accepted, content
from gda.notify.webpush import (
    CURVE,
    MOST_CLEAR,
    Browser,
    authorization,
    decoded,
    encoded,
    encrypt,
    new_push_key,
    read_browser,
    read_push_key,
)
from tests.support.browser import ABrowser

NOW = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)


def test_the_example_of_rfc_8291_is_encrypted_byte_for_byte():
    browser = Browser(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        decoded("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        decoded("BTBZMqHH6r4Tts7J_aSIgg"),
    )
    own = read_push_key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw").private
    body = encrypt(
        b"When I grow up, I want to be a watermelon", browser, key=own, salt=decoded("DGv6ra1nlYgDCS1FRnbzlw")
    )
    assert encoded(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_two_messages_share_neither_key_nor_salt_and_the_browser_reads_both():
    browser = ABrowser("https://push.example.net/1")
    first, second = (encrypt(b"hello", browser.subscription) for _ in range(2))
    assert first[:86] != second[:86]
    assert browser.read(first) == browser.read(second) == b"hello"


def test_the_token_is_for_the_end_points_origin_expires_and_is_signed_with_the_public_key():
    key = read_push_key(new_push_key())
    header = authorization("https://push.example.net/a/secret", key, "mailto:ops@example.org", NOW)
    token, public = header.removeprefix("vapid t=").split(", k=")
    head, claims, signature = token.split(".")
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    expires = int(NOW.timestamp()) + 12 * 3600
    said = {"aud": "https://push.example.net", "exp": expires, "sub": "mailto:ops@example.org"}
    assert json.loads(decoded(claims)) == said
    raw = decoded(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    EllipticCurvePublicKey.from_encoded_point(CURVE, decoded(public)).verify(
        der, f"{head}.{claims}".encode(), ECDSA(SHA256())
    )


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "http://push.example.net/1"},
        {"endpoint": "https:///nowhere"},
        {"keys": {"p256dh": "AAAA", "auth": "BTBZMqHH6r4Tts7J_aSIgg"}},
        {"keys": {"auth": "BTBZMqHH6r4Tts7J_aSIgg"}},
        {"keys": None},
    ],
)
def test_what_is_no_subscription_is_refused_without_being_quoted(change):
    values = json.loads(ABrowser("https://push.example.net/canary-7Qe").subscription.as_text())
    assert read_browser(json.dumps(values)).endpoint == "https://push.example.net/canary-7Qe"
    with pytest.raises(UsageError, match="this is no push subscription") as refused:
        read_browser(json.dumps(values | change))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("key", ["", "AAAA", "ä" * 43, "A" * 43])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(UsageError, match="GDA_PUSH_KEY is not 32 bytes"):
        read_push_key(key)


@pytest.mark.parametrize(("title", "body"), [("T", "b"), ("T", "ü" * 5000), ("T" * 5000, "€" * 5000), ("💡" * 900, "")])
def test_what_is_pushed_fits_into_what_every_service_takes(title, body):
    raw = content(title, body, "tag")
    assert len(raw) <= MOST_CLEAR
    shown = json.loads(raw)
    assert shown["title"] == title[:200]
    assert body.startswith(shown["body"].removesuffix("…"))
    assert len(raw) > MOST_CLEAR - 10 or shown["body"] == body


@pytest.mark.parametrize(
    ("outcome", "meaning"),
    [
        (Answer(404, {}, b""), Gone),
        (Answer(410, {}, b""), Gone),
        (Answer(429, {}, b""), Transient),
        (Answer(503, {}, b""), Transient),
        (Answer(500, {}, b""), InDoubt),
        (Answer(413, {}, b""), Permanent),
        (Answer(301, {}, b""), Permanent),
        (Lost("ConnectError", sent=False), Transient),
        (Lost("ReadTimeout", sent=True), InDoubt),
    ],
)
def test_an_answer_says_whether_the_push_was_taken(outcome, meaning):
    with pytest.raises(meaning) as raised:
        accepted(outcome)
    assert type(raised.value) is meaning


def test_a_push_that_was_taken_is_recorded_with_its_status():
    assert accepted(Answer(201, {}, b"")) == "HTTP 201"
