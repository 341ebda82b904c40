"""Prefect blocks: configuration at rest, the same on every worker.

A worker elsewhere knows only ``PREFECT_API_URL`` (and its auth string); everything else it reads from these documents.
Precedence is argument, block, environment, default.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from gda.errors import Unavailable
from gda.glue.api import api_url, require_closed_api
from gda.settings import Settings
from gda.settings import load_settings as settings_of_environment

if TYPE_CHECKING:
    from types import ModuleType

    from prefect.blocks.core import Block
    from prefect.client.orchestration import PrefectClient

LOCAL = frozenset({"home", "database_schema", "prefect_pool_limit", "max_runs_per_day"})
LOCAL |= {"digest_drain_cron", "digest_drain_enabled", "sweep_cron", "sweep_enabled", "dead_letter_notify"}
LOCAL |= {"apply_cron", "apply_enabled", "retention_cron", "retention_enabled", "instance_id", "single_instance"}
LOCAL |= {"recurring_tasks_cron", "recurring_tasks_enabled", "overdue_scan_cron", "overdue_scan_enabled"}
LOCAL |= {"reminders_cron", "reminders_enabled"}
LOCAL |= {"token_refresh_cron", "token_refresh_enabled", "google_auth_url"}
"""Settings that no block carries: a folder of one machine, what only the operator's own commands read, and the schema,
which travels in the database's URL."""


async def load_settings(**overrides: object) -> Settings:
    """Read the settings as a flow run sees them.

    Args:
        overrides: values that win over blocks and environment, by field name; ``None`` means "not given".

    Returns:
        The frozen settings. Without a Prefect API, or where it has no documents of ours, those of the environment.

    Raises:
        Unavailable: the API cannot be reached.
        UsageError: a value is wrong, naming it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    return settings_of_environment(**await _stored() | given)


async def register_all(settings: Settings) -> list[str]:
    """Register the block types and save one document of each; doing it again overwrites them with the same.

    Args:
        settings: what the documents shall hold; keys are read from (or made in) the keys file when not set.

    Returns:
        The documents' names with their types, such as ``gda-mail-server/gda-mail``.

    Raises:
        Unavailable: the API is away, or beyond this machine and open to others, who could read the secrets.
        UsageError: a setting cannot be stored.
    """
    from prefect.client.orchestration import get_client

    await require_closed_api()
    made = [(_document(module), module.make(settings)) for module in _modules()]
    async with get_client() as client:
        for (_, name), block in made:
            await _save(block, name, client)
    return [f"{slug}/{name}" for (slug, name), _ in made]


async def _save(block: "Block", name: str, client: "PrefectClient") -> None:
    await block.asave(name, overwrite=True, client=client)


async def _stored() -> dict[str, Any]:
    """The settings in all block documents there are, by one concurrent read."""
    import httpx
    from prefect.client.orchestration import get_client

    if not api_url():
        return {}
    modules = _modules()
    try:
        async with get_client() as client:
            found = await asyncio.gather(*(_read(client, *_document(module)) for module in modules))
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the Prefect API at {api_url()} cannot be asked for GDA's blocks ({type(error).__name__}): "
            "check PREFECT_API_URL and PREFECT_API_AUTH_STRING"
        ) from error
    stored: dict[str, Any] = {}
    for module, data in zip(modules, found, strict=True):
        stored |= module.read(data) if data is not None else {}
    return stored


async def _read(client: "PrefectClient", slug: str, name: str) -> dict[str, Any] | None:
    from prefect.exceptions import ObjectNotFound

    try:
        document = await client.read_block_document_by_name(name, slug, include_secrets=True)
    except ObjectNotFound:
        return None
    return dict(document.data)


def _modules() -> "list[ModuleType]":
    from blocks import encryption_keys, google_oauth, ledger_database, mail_server, notice_channels, run_options

    return [ledger_database, encryption_keys, google_oauth, mail_server, notice_channels, run_options]


def _document(module: "ModuleType") -> tuple[str, str]:
    """The slug of a module's block type and the name of its one document."""
    block = module.BLOCK
    return block.get_block_type_slug(), module.DOCUMENT
