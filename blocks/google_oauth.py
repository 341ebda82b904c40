"""The OAuth client that users grant access to, and where Google's services are."""

from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.fields import as_settings, of_settings, same
from gda.settings import Settings

DOCUMENT = "gda-google"
SETTINGS: Mapping[str, str] = {
    "client_id": "google_client_id",
    "client_secret": "google_client_secret",
    "token_url": "google_token_url",
    "api_url": "google_api_url",
    "batch_size": "google_batch_size",
    "timeout_seconds": "google_timeout_seconds",
    "connections": "google_connections",
}


class GoogleOAuthClient(Block):
    """Google's OAuth client of this GDA, and how its APIs are called; users' own tokens are not in blocks."""

    _block_type_name = "GDA Google OAuth client"
    _block_type_slug = "gda-google-oauth-client"
    _description = "The OAuth client that GDA's users grant access to, and where Google's services are."

    client_id: str = same("google_client_id")
    client_secret: SecretStr = same("google_client_secret")
    token_url: str = same("google_token_url")
    api_url: str = same("google_api_url")
    batch_size: int = same("google_batch_size")
    timeout_seconds: float = same("google_timeout_seconds")
    connections: int = same("google_connections")


BLOCK = GoogleOAuthClient


def make(settings: Settings) -> GoogleOAuthClient:
    """The block that carries the settings."""
    return GoogleOAuthClient(**of_settings(SETTINGS, settings))


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a block document holds."""
    return as_settings(SETTINGS, data)
