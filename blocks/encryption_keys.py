"""The master keys that open users' stored tokens."""

from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from gda.settings import Settings
from gda.vault import KEYS_FILE, Vault

DOCUMENT = "gda-keys"


class EncryptionKeys(Block):
    """The keys under which users' tokens are sealed in GDA's database."""

    _block_type_name = "GDA encryption keys"
    _block_type_slug = "gda-encryption-keys"
    _description = "The keys that seal users' tokens in GDA's database, which is why they are kept apart from it."

    keys: SecretStr = Field(description="Fernet keys, comma-separated, newest first.")


BLOCK = EncryptionKeys


def make(settings: Settings) -> EncryptionKeys:
    """The block that carries the keys of the settings, or of the keys file, which is made on first use.

    Raises:
        UsageError: a key is malformed, or others on this machine may read the file.
        Unavailable: the file can be neither read nor made.
    """
    Vault.from_settings(settings)
    if settings.keys is not None:
        return EncryptionKeys(keys=settings.keys)
    lines = (line.strip() for line in (settings.home / KEYS_FILE).read_text("ascii").splitlines())
    return EncryptionKeys(keys=SecretStr(",".join(line for line in lines if line and not line.startswith("#"))))


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a block document holds."""
    return {"keys": data["keys"]}
