"""Named global concurrency limits in Prefect, one for each kind that ``GDA_LIMITS`` names."""

from typing import TYPE_CHECKING

from gda.glue.limits import limit_name
from gda.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient


async def ensure_limits(client: "PrefectClient", settings: Settings) -> list[str]:
    """Make the limits, or bring their numbers in line; doing it again changes nothing.

    What ``GDA_LIMITS`` no longer names stays in Prefect, where nothing of GDA's asks for it any more.

    Returns:
        The limits written, such as ``gda-digest-runs=2``.
    """
    written = []
    for kind, number in sorted(settings.limit_of_kind.items()):
        name = limit_name(kind)
        if await _number_of(client, name) != number:
            await client.upsert_global_concurrency_limit_by_name(name, number)
            written.append(f"{name}={number}")
    return written


async def _number_of(client: "PrefectClient", name: str) -> int | None:
    from prefect.exceptions import ObjectNotFound

    try:
        return (await client.read_global_concurrency_limit_by_name(name)).limit
    except ObjectNotFound:
        return None
