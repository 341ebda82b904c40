"""Looking for strings that must not be anywhere: in bytes, as they are, in base64 and URL-encoded."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms_of(secret: str) -> set[bytes]:
    """The spellings under which a secret could lie in a file: plain, escaped for URLs, base64 at any offset."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {form.encode() for form in forms} | _base64_cores(secret.encode())


def leaks(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Which secret lies where, as ``name in place``; secrets are named, never shown."""
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, data in places.items()
        if any(form in data for form in forms_of(secret))
    ]


def files_in(*folders: Path, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file's bytes (databases with their write-ahead logs, log files), by path."""
    ignored = set(but)
    found = (file for folder in folders for file in sorted(folder.rglob("*")))
    return {str(file): file.read_bytes() for file in found if file.is_file() and file.name not in ignored}


def _base64_cores(secret: bytes) -> set[bytes]:
    # Inside longer data a secret begins at one of three offsets; the characters that mix with neighbours are cut off.
    cores = set()
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            text = re.sub(rb"=+$", b"", encode(b"\0" * offset + secret))
            cores.add(text[(offset * 8 + 5) // 6 : len(text) - 1])
    return cores
