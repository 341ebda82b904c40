"""Web Push, purely: a message for one browser, and the header that says who writes.

RFC 8291 (encryption with the browser's keys), RFC 8188 (aes128gcm), RFC 8292 (VAPID), RFC 8030 (the request).
"""

import json
import os
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gda.errors import UsageError
from gda.loopback import is_loopback

CURVE = SECP256R1()
RECORD_SIZE = 4096
MOST_CLEAR = 3993
"""What fits into the 4096 bytes that every push service takes (RFC 8291, section 4)."""
TOKEN_LIFE = timedelta(hours=12)
"""At most 24 hours (RFC 8292, section 2)."""
_AUTH_BYTES = 16
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class PushKey:
    """The installation's key pair; ``public`` is what a browser subscribes with, base64url."""

    private: EllipticCurvePrivateKey
    public: str


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a browser is reached, and its keys: ``p256dh`` an uncompressed point, ``auth`` 16 bytes."""

    endpoint: str
    p256dh: bytes
    auth: bytes

    def as_text(self) -> str:
        """Its JSON, as browsers write it; a secret."""
        keys = {"p256dh": encoded(self.p256dh), "auth": encoded(self.auth)}
        return json.dumps({"endpoint": self.endpoint, "keys": keys})


def read_browser(text: str) -> Browser:
    """Read a ``PushSubscription`` as a browser's ``JSON.stringify`` writes it.

    Raises:
        UsageError: it is none, or its end point is not https; the message repeats nothing of it.
    """
    try:
        values = json.loads(text)
        found = Browser(str(values["endpoint"]), decoded(values["keys"]["p256dh"]), decoded(values["keys"]["auth"]))
        EllipticCurvePublicKey.from_encoded_point(CURVE, found.p256dh)
    except (ValueError, KeyError, TypeError, AttributeError):
        found = None
    if found is None or len(found.auth) != _AUTH_BYTES or not _private_way(found.endpoint):
        raise UsageError(
            "this is no push subscription: give the JSON that the browser's PushSubscription writes, with an https "
            "endpoint, keys.p256dh (65 bytes) and keys.auth (16 bytes) in base64url"
        )
    return found


def new_push_key() -> str:
    """Make a private key, as GDA_PUSH_KEY takes it: 32 bytes, base64url."""
    number = generate_private_key(CURVE).private_numbers().private_value
    return encoded(number.to_bytes(_SECRET_BYTES, "big"))


def read_push_key(text: str) -> PushKey:
    """Read GDA_PUSH_KEY. Raises UsageError, which does not repeat it."""
    try:
        secret = decoded(text.strip())
        private = derive_private_key(int.from_bytes(secret, "big"), CURVE) if len(secret) == _SECRET_BYTES else None
    except ValueError:
        private = None
    if private is None:
        raise UsageError("GDA_PUSH_KEY is not 32 bytes in base64url; `gda notifications push-key` makes one")
    return PushKey(private, encoded(_point(private)))


def encrypt(
    clear: bytes, browser: Browser, *, key: EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """Encrypt one message for one browser, in a single record.

    Args:
        clear: at most ``MOST_CLEAR`` bytes.
        browser: whose.
        key: the message's own key; None: a new one, as it must be but in tests.
        salt: 16 bytes; None: random, likewise.

    Returns:
        The request's body, for ``Content-Encoding: aes128gcm``.
    """
    own, salt = key or generate_private_key(CURVE), salt or os.urandom(16)
    public = _point(own)
    shared = own.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(CURVE, browser.p256dh))
    secret = _derived(shared, browser.auth, b"WebPush: info\0" + browser.p256dh + public, 32)
    content_key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + struct.pack("!LB", RECORD_SIZE, len(public)) + public
    return header + AESGCM(content_key).encrypt(nonce, clear + b"\x02", None)


def authorization(endpoint: str, key: PushKey, contact: str, now: datetime) -> str:
    """The header that tells a push service who writes: a token for its origin, signed with ES256.

    Args:
        endpoint: the browser's.
        key: the installation's.
        contact: ``mailto:`` or ``https:``.
        now: aware.
    """
    parts = urlsplit(endpoint)
    expires = int((now + TOKEN_LIFE).timestamp())
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": expires, "sub": contact}
    head, body = ({"typ": "JWT", "alg": "ES256"}, claims)
    signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (head, body))
    r, s = decode_dss_signature(key.private.sign(signed.encode(), ECDSA(SHA256())))
    signature = encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed}.{signature}, k={key.public}"


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """The bytes of base64url, padded or not. Raises ValueError."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except Base64Error as error:
        raise ValueError("no base64url") from error


def _point(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=salt, info=info).derive(secret)


def _private_way(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )
