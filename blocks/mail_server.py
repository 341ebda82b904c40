"""The mail server that digests leave through."""

from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.fields import as_settings, of_settings, same
from gda.settings import MailSecurity, Settings

DOCUMENT = "gda-mail"
SETTINGS: Mapping[str, str] = {
    "host": "smtp_host",
    "port": "smtp_port",
    "security": "smtp_security",
    "username": "smtp_username",
    "password": "smtp_password",
    "sender": "mail_from",
    "settling_seconds": "mail_settling_seconds",
    "timeout_seconds": "smtp_timeout_seconds",
    "connections": "smtp_connections",
    "idle_seconds": "smtp_idle_seconds",
}


class MailServer(Block):
    """The SMTP server that delivers digests, with its login and how GDA speaks to it."""

    _block_type_name = "GDA mail server"
    _block_type_slug = "gda-mail-server"
    _description = "The SMTP server that delivers GDA's digests."

    host: str = same("smtp_host")
    port: int = same("smtp_port")
    security: MailSecurity = same("smtp_security")
    username: str = same("smtp_username")
    password: SecretStr = same("smtp_password")
    sender: str = same("mail_from")
    settling_seconds: int = same("mail_settling_seconds")
    timeout_seconds: float = same("smtp_timeout_seconds")
    connections: int = same("smtp_connections")
    idle_seconds: float = same("smtp_idle_seconds")


BLOCK = MailServer


def make(settings: Settings) -> MailServer:
    """The block that carries the settings."""
    return MailServer(**of_settings(SETTINGS, settings))


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a block document holds."""
    return as_settings(SETTINGS, data)
