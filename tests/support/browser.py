"""A browser with a push subscription of its own: it reads what it is sent by RFC 8291, from the other side."""

import os
import struct

from cryptography.hazmat.primitives.asymmetric.ec import ECDH, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gda.notify.webpush import CURVE, Browser


class ABrowser:
    """Its private key stays here; ``subscription`` is what it gives away."""

    def __init__(self, endpoint: str) -> None:
        self._key = generate_private_key(CURVE)
        public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.subscription = Browser(endpoint, public, os.urandom(16))

    def read(self, body: bytes) -> bytes:
        """The text of one message."""
        salt, (size, length) = body[:16], struct.unpack("!LB", body[16:21])
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(body) <= size == 4096
        shared = self._key.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
        own = self.subscription
        secret = _hkdf(shared, own.auth, b"WebPush: info\x00" + own.p256dh + sender, 32)
        key = _hkdf(secret, salt, b"Content-Encoding: aes128gcm\x00", 16)
        clear = AESGCM(key).decrypt(_hkdf(secret, salt, b"Content-Encoding: nonce\x00", 12), sealed, None)
        text, mark = clear[:-1], clear[-1:]
        assert mark == b"\x02"
        return text


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=salt, info=info).derive(secret)
