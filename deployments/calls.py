"""Calls to Prefect's API: one, all pages of a list, several at once with a bound."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import PrefectClient
    from prefect.client.orchestration.base import HTTP_METHODS

CONCURRENT_CALLS = 2
"""Calls under way at once: the server works on one while we make the next.

A server on SQLite writes one at a time, and what waits there is refused in the end ("database is locked", 503). Created
in a file on two busy cores, in ms each: one at once 184 to 515, two 279, eight 574 to 1,066; in memory 121 to 143, 117,
and 71 to 117 (Prefect 3.8.8, 30 to 40 deployments each).
"""
PAGE = 200
"""The most that Prefect's API gives in one answer."""
BULK = 50
"""The most that Prefect's API deletes in one call."""


async def call(client: "PrefectClient", method: "HTTP_METHODS", path: Any, body: Any = None) -> "httpx.Response":
    """Send one request; the client repeats it by itself to a server that is busy."""
    # Prefect types ``path`` as one of the routes it knew when that list was written; the bulk ones came later.
    return await client.request(method, path, json=body)


async def pages(client: "PrefectClient", path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """All answers to a filter, page after page."""
    found: list[dict[str, Any]] = []
    while True:
        body = query | {"limit": PAGE, "offset": len(found)}
        page = (await call(client, "POST", path, body)).json()
        found += page
        if len(page) < PAGE:
            return found


async def together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await them all, ``CONCURRENT_CALLS`` at once; the first failure stops the rest."""
    waiting: Iterator[Coroutine[Any, Any, None]] = iter(calls)

    async def work() -> None:
        for one in waiting:
            await one

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENT_CALLS):
            group.create_task(work())


async def tolerating_absence(request: Coroutine[Any, Any, Any]) -> None:
    """Await a call about something that may be gone already."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        await request
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 404:
            raise
