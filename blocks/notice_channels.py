"""How users' browsers and chats are told; whose they are stands sealed in the database."""

from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.fields import as_settings, of_settings, same
from gda.settings import Settings

DOCUMENT = "gda-notices"
SETTINGS: Mapping[str, str] = {
    "push_key": "push_key",
    "push_contact": "push_contact",
    "push_ttl_seconds": "push_ttl_seconds",
    "timeout_seconds": "notify_timeout_seconds",
}


class NoticeChannels(Block):
    """The key that tells push services who writes, and how long chats and push services are waited for."""

    _block_type_name = "GDA notice channels"
    _block_type_slug = "gda-notice-channels"
    _description = "How GDA tells its users' browsers and chats."

    push_key: SecretStr = same("push_key")
    push_contact: str = same("push_contact")
    push_ttl_seconds: int = same("push_ttl_seconds")
    timeout_seconds: float = same("notify_timeout_seconds")


BLOCK = NoticeChannels


def make(settings: Settings) -> NoticeChannels:
    """The block that carries the settings."""
    return NoticeChannels(**of_settings(SETTINGS, settings))


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a block document holds."""
    return as_settings(SETTINGS, data)
