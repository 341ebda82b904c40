"""Where the demo plays: a folder of its own, ports, and the environment of everything in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gda.cli.home import held
from gda.cli.processes import bare_environment, free_ports, require_free
from gda.cli.servers import LOOPBACK, prefect_environment

if TYPE_CHECKING:
    from gda.settings import Settings

SETTLING_SECONDS = 30
"""How long a sent mail may stay unseen in the sandbox (DESIGN 8)."""
RUNS_AT_ONCE = 2
"""Flow runs at once: each is a process of about one CPU's work for its whole start."""
PREFECT_DATABASE = "sqlite+aiosqlite:///file::memory:?cache=shared&uri=true&check_same_thread=false"
"""Prefect's own spelling of its database in memory, over which it opens one connection.

In a file its connections wait for one another: with Prefect 3.8.8 creating six deployments took 14 to 30 s instead of
one, and now and then a poll of the worker stopped all writes for the 60 s of its busy timeout. A demo keeps nothing.
"""
CLIENT_ID, CLIENT_SECRET = "gda-sandbox", "sandbox-secret"


@dataclass(frozen=True, slots=True)
class Stage:
    """One demo's folder (absolute), ports and environment; nothing of the caller's GDA and Prefect is in it."""

    folder: Path
    prefect_port: int
    http_port: int
    smtp_port: int

    @property
    def sandbox(self) -> str:
        """The sandbox's address."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def api_url(self) -> str:
        """The Prefect API's address."""
        return f"http://{LOOPBACK}:{self.prefect_port}/api"

    @property
    def ui(self) -> str:
        """The address of Prefect's UI."""
        return f"http://{LOOPBACK}:{self.prefect_port}"

    def environment(self) -> dict[str, str]:
        """The environment of every child."""
        values = {f"GDA_{name.upper()}": value for name, value in self._values().items()}
        values["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = PREFECT_DATABASE
        return bare_environment() | prefect_environment(self.folder / "prefect", self.prefect_port) | values

    def settings(self) -> "Settings":
        """The same as settings of this process; no ``.env`` is read."""
        from gda.settings import Settings

        return Settings(_env_file=None, **self._values())  # type: ignore[arg-type]

    def enter(self) -> None:
        """Make this process one of the stage's: Prefect reads its environment when it is imported."""
        environment = self.environment()
        os.environ.clear()
        os.environ.update(environment)

    def _values(self) -> dict[str, str]:
        return {
            "home": str(self.folder),
            "database_url": f"sqlite+aiosqlite:///{self.folder / 'gda.db'}",
            "google_client_id": CLIENT_ID,
            "google_client_secret": CLIENT_SECRET,
            "google_token_url": f"{self.sandbox}/token",
            "google_api_url": self.sandbox,
            "smtp_host": LOOPBACK,
            "smtp_port": str(self.smtp_port),
            "smtp_security": "none",
            "mail_settling_seconds": str(SETTLING_SECONDS),
            "prefect_pool_limit": str(RUNS_AT_ONCE),
            # Nothing is missed within minutes, and each sweep is a process beside the digests.
            "sweep_enabled": "false",
            "retention_enabled": "false",
        }


@contextmanager
def set_up(home: Path, ports: dict[str, int | None]) -> Iterator[Stage]:
    """Clear the demo's folder and hold it for this demo alone.

    Args:
        home: GDA's state folder.
        ports: wanted ports by option (``--port``, ``--sandbox-port``, ``--smtp-port``); None for a free one.

    Raises:
        Unavailable: a port is taken, another demo plays there, or the folder cannot be made.
    """
    for option, port in ports.items():
        if port is not None:
            require_free(port, option)
    free = iter(free_ports(len(ports)))
    chosen = [next(free) if port is None else port for port in ports.values()]
    folder = home.resolve() / "demo"
    with held(home, "demo"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield Stage(folder, *chosen)
