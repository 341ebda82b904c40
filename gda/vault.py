"""Secrets at rest: tokens sealed under keys that live outside the database, each readable for its own user only.

Every user's tokens are sealed under keys derived from the master keys and the user's id (HKDF, RFC 5869), so a
ciphertext moved to another user's row does not open. Fernet is AES-128-CBC with HMAC-SHA256. The first key seals; all
of them open, so that keys can be rotated under running workers.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gda.errors import Unavailable, UsageError
from gda.settings import Settings

KEYS_FILE = "keys"
_KEY_BYTES = 32
_DERIVED_KEPT = 4096
_PURPOSE = b"gda vault 1\0"


class Vault:
    """Seals and opens users' secrets.

    Args:
        keys: master keys as ``new_key`` makes them, newest first.
        source: where they came from, for error texts.

    Raises:
        UsageError: there is no key, or one is malformed.
    """

    def __init__(self, keys: Sequence[str], source: str = "GDA_KEYS") -> None:
        if not keys:
            raise UsageError(f"{source} holds no key; put one there, or unset GDA_KEYS to have a key made")
        self._masters = [_decoded(key, number, source) for number, key in enumerate(keys, 1)]
        self._source = source
        self._of_user = lru_cache(_DERIVED_KEPT)(self._derive)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Read the keys from ``GDA_KEYS`` or the file ``home/keys``, which is made on first use with one new key.

        Raises:
            UsageError: a key is malformed, or others on this machine may read the file.
            Unavailable: the file can be neither read nor made.
        """
        if settings.keys is not None:
            return cls([key for part in settings.keys.get_secret_value().split(",") if (key := part.strip())])
        path = settings.home / KEYS_FILE
        try:
            if not path.exists():
                _make_keys_file(path)
            _require_private(path)
            text = path.read_text("ascii", errors="replace")
        except OSError as error:
            raise Unavailable(
                f"the keys file {path} cannot be used: {error.strerror}; set GDA_HOME or GDA_KEYS"
            ) from error
        lines = (line.strip() for line in text.splitlines())
        return cls([line for line in lines if line and not line.startswith("#")], str(path))

    def seal(self, user_id: str, secret: str) -> str:
        """Encrypt a user's secret under the newest key; sealing twice gives two different texts."""
        return self._of_user(user_id).encrypt(secret.encode()).decode("ascii")

    def open(self, user_id: str, sealed: str) -> str:
        """Decrypt what was sealed for this user.

        Raises:
            UsageError: no key fits, the text was changed, or it belongs to another user.
        """
        try:
            return self._of_user(user_id).decrypt(sealed).decode()
        except (InvalidToken, ValueError):
            pass
        raise self._no_key_fits()

    def rotate(self, user_id: str, sealed: str) -> str:
        """Seal anew under the newest key, keeping the time of the first sealing.

        Raises:
            UsageError: as ``open``.
        """
        try:
            return self._of_user(user_id).rotate(sealed).decode("ascii")
        except (InvalidToken, ValueError):
            pass
        raise self._no_key_fits()

    def _derive(self, user_id: str) -> MultiFernet:
        info = _PURPOSE + user_id.encode()
        derived = (HKDF(SHA256(), _KEY_BYTES, salt=None, info=info).derive(master) for master in self._masters)
        return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in derived])

    def _no_key_fits(self) -> UsageError:
        return UsageError(
            f"a stored credential opens with none of the {len(self._masters)} key(s) of {self._source}: "
            "put back the key it was sealed with, or have the user connect again"
        )


def new_key() -> str:
    """Make a master key: 32 random bytes, url-safe base64."""
    return Fernet.generate_key().decode("ascii")


def _decoded(key: str, number: int, source: str) -> bytes:
    try:
        master = urlsafe_b64decode(key)
    except ValueError:
        master = b""
    # Python's decoder skips what it does not know, so only the exact spelling of 32 bytes counts.
    if len(master) != _KEY_BYTES or urlsafe_b64encode(master).decode("ascii") != key:
        raise UsageError(
            f"key {number} of {source} is not 32 bytes in url-safe base64; make one with "
            '`python -c "from gda.vault import new_key; print(new_key())"`'
        )
    return master


def _make_keys_file(path: Path) -> None:
    """Write one new key; whoever comes second keeps the first one's file.

    The file appears whole under its name (a link to a finished one), so no reader sees it half written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write("# GDA keys, newest first. Without them no stored token can be read: back this file up.\n")
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # A lost key is a lost credential for every user; only POSIX can open a folder to sync it.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _require_private(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise UsageError(f"{path} may be read by others on this machine; run `chmod 600 {path}`")
