"""``gda up``: GDA on one machine with your own settings."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gda.cli.deploy import apply_plan, make_plan
from gda.cli.home import held
from gda.cli.processes import Children, free_ports, require_free, stopping_on_sigterm
from gda.cli.run import say, settings, store
from gda.cli.runs import prefect_client
from gda.cli.servers import prefect_environment, server_answers, start_server, start_worker
from gda.errors import Unavailable

if TYPE_CHECKING:
    from gda.settings import Settings

PREFERRED_PORT = 4200
"""Where people look for Prefect; a free port when it is taken."""


async def up(*, port: int | None = None) -> None:
    """Migrate, start a Prefect server (unless PREFECT_API_URL names one), apply, and run a worker until Ctrl-C.

    Args:
        port: Port of Prefect's server and UI; 4200, or a free one where that is taken, when left out.
    """
    given = settings()
    home = await asyncio.to_thread(given.home.resolve)
    has_own_server = not os.environ.get("PREFECT_API_URL")
    chosen = _port(port) if has_own_server else 0
    from deployments.pools import pool_specs

    with held(home, "up"), stopping_on_sigterm():
        os.environ["GDA_HOME"] = str(home)
        if has_own_server:
            os.environ |= prefect_environment(home / "prefect", chosen)
        async with Children(home / "logs") as children:
            if has_own_server:
                await start_server(children, os.environ, chosen, home)
            await _migrate(given)
            if has_own_server:
                await server_answers(children, os.environ["PREFECT_API_URL"])
            await children.alongside(_apply(given))
            await children.alongside(_close_what_was_left(given))
            for pool in pool_specs(given):
                await start_worker(children, os.environ, pool.name, pool.at_once, home)
            _say_where(home)
            await children.alongside(asyncio.Event().wait())


async def _migrate(given: "Settings") -> None:
    from gda.store import open_database, upgrade

    database = open_database(given.database)
    try:
        say(f"schema {await upgrade(database)}")
    finally:
        await database.close()


async def _apply(given: "Settings") -> None:
    from deployments.system import apply_system, find_file

    async with prefect_client() as client, store(given) as opened:
        await apply_system(client, given, find_file(), on_progress=say)
        found = await make_plan(opened, client, given)
        if found.delete:
            say(f"{len(found.delete)} deployments of users who are gone stay; `gda apply` deletes them")
        await apply_plan(replace(found, delete=()), client)


async def _close_what_was_left(given: "Settings") -> None:
    """What the first sweep would do, before workers begin the late runs of an hour's absence one after the other."""
    from gda.glue.sweeping import close_runs

    grace = timedelta(seconds=given.sweep_grace_seconds)
    async with prefect_client() as client, store(given) as opened:
        closed = await close_runs(opened, client, grace=grace, own=None)
    if closed:
        say(f"{closed} flow runs left from before are closed; what they missed is served all the same")


def _port(wanted: int | None) -> int:
    if wanted is not None:
        require_free(wanted, "--port")
        return wanted
    try:
        require_free(PREFERRED_PORT, "--port")
    except Unavailable:
        return free_ports(1)[0]
    return PREFERRED_PORT


def _say_where(home: Path) -> None:
    url = os.environ["PREFECT_API_URL"]
    say(
        f"\nGDA is up; Prefect's UI is at {url.removesuffix('/api')}, logs lie in {home / 'logs'}. "
        "For other terminals:\n\n"
        f"  export GDA_HOME={home} PREFECT_API_URL={url}\n\n"
        "Ctrl-C ends it all."
    )
