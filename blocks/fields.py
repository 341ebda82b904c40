"""A block's fields are settings under shorter names: declared once in :mod:`gda.settings`, copied here."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from gda.settings import Settings


def same(setting: str) -> Any:
    """A block's field with the default and the description of a setting; Settings checks the value when it is read."""
    original = Settings.model_fields[setting]
    return Field(default=original.default, description=original.description or f"GDA_{setting.upper()}")


def of_settings(fields: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """The values of a block's ``fields`` (field name to setting name) as the settings have them."""
    return {field: getattr(settings, setting) for field, setting in fields.items()}


def as_settings(fields: Mapping[str, str], data: Mapping[str, Any]) -> dict[str, Any]:
    """What a block document says, by setting name; fields the document lacks (an older one) are left out."""
    return {setting: data[field] for field, setting in fields.items() if field in data}
