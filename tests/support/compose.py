"""docker/compose.yaml as processes on this machine: its very commands, environments and health checks.

What containers give a service is given here by other means, and nothing else is changed: host names and ports become
loopback ones, ``/var/lib/gda`` a folder of the service's own, ``/app`` a folder with what the image copies there.
"""

import asyncio
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMMAND_SECONDS, END_SECONDS = 180, 30
STATE = "/var/lib/gda"
_VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Compose:
    """The file with the variables of ``.env`` put in, as ``docker compose`` does."""

    variables: Mapping[str, str]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """By name, in an order in which each comes after all that it depends on."""
        found = _interpolated(yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"], self.variables)
        needs = {name: set(service.get("depends_on", {})) for name, service in found.items()}
        return {name: found[name] for name in TopologicalSorter(needs).static_order()}

    def environment(self, name: str) -> dict[str, str]:
        """What a service's container has: the image's ENV, ``env_file`` where it is given one, its ``environment``."""
        service = self.services[name]
        image = dict(image_environment()) if "build" in service else {}
        given = dict(self.variables) if service.get("env_file") == ".env" else {}
        return image | given | {key: str(value) for key, value in service["environment"].items()}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the services run instead.

    ``folder`` gets a home per service, ``programs`` is their PATH, ``ports`` are on loopback and ``left_out`` names
    variables that they are not given.
    """

    compose: Compose
    folder: Path
    programs: str
    ports: Mapping[str, int]
    left_out: frozenset[str] = frozenset()

    @property
    def app(self) -> Path:
        """The image's working directory."""
        return self.folder / "app"

    def log(self, name: str) -> Path:
        """Where a service writes."""
        return self.folder / f"{name}.log"

    def make(self) -> None:
        """Fill the working directory as the image does, and make the homes."""
        self.app.mkdir(parents=True)
        for name in copied_by_the_image():
            (self.app / name).symlink_to(ROOT / name)
        for name in self.compose.services:
            (self.folder / name).mkdir()

    def here(self, text: str, name: str) -> str:
        """A text of the compose file with hosts, ports and paths replaced, all at once."""
        replaced = {
            "database:5432": f"127.0.0.1:{self.ports['database']}",
            "server:4200": f"127.0.0.1:{self.ports['server']}",
            "0.0.0.0": "127.0.0.1",
            "4200": str(self.ports["server"]),
            "8080": str(self.ports.get(name, self.ports["worker"])),
            STATE: str(self.folder / name),
        }
        return re.sub("|".join(map(re.escape, replaced)), lambda match: replaced[match[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        """The whole environment of a service's processes; of this process's only what measures coverage is kept."""
        own = {key: self.here(value, name) for key, value in self.compose.environment(name).items()}
        outside = {key: value for key, value in os.environ.items() if key.startswith("COVERAGE_") and name != "server"}
        place = {
            "PATH": self.programs,
            "HOME": str(self.folder / name),
            "LANG": "C.UTF-8",
            "PGPORT": str(self.ports["database"]),
            # A container has its own 8080.
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "PREFECT_WORKER_WEBSERVER_PORT": str(self.ports.get(name, self.ports["worker"])),
        }
        return {key: value for key, value in (own | outside | place).items() if key not in self.left_out}

    def command(self, name: str) -> list[str]:
        """A service's command."""
        return [self.here(word, name) for word in self.compose.services[name]["command"]]

    async def run(self, name: str, *command: str) -> Ran:
        """Run a command in a service's surroundings to its end."""
        child = await asyncio.create_subprocess_exec(
            *command, cwd=self.app, env=self.environment(name), stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        try:
            out, err = await asyncio.wait_for(child.communicate(), COMMAND_SECONDS)
        finally:
            await end(child)
        return Ran(child.returncode or 0, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[Process]:
        """Run a service until the block ends; it is healthy when the block begins."""
        with self.log(name).open("wb") as output:
            child = await asyncio.create_subprocess_exec(
                *self.command(name),
                cwd=self.app,
                env=self.environment(name),
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )
        try:
            await self.healthy(name, child)
            yield child
        finally:
            await end(child)

    async def healthy(self, name: str, child: Process | None = None) -> None:
        """Run the health check of the file as often as it says, each second at least, until it succeeds."""
        check = self.compose.services[name]["healthcheck"]
        kind, *words = (self.here(word, name) for word in check["test"])
        assert kind == "CMD"
        for _ in range(_seconds(check.get("start_period", "0s")) + check["retries"] * _seconds(check["interval"])):
            assert child is None or child.returncode is None, f"{name} ended: {self.log(name).read_text()[-3000:]}"
            if (await self.run(name, *words)).code == 0:
                return
            await asyncio.sleep(1)
        raise AssertionError(f"{name} never became healthy, says {words}")


async def end(child: Process) -> None:
    """SIGTERM, as ``docker stop`` sends it to the first process; then SIGKILL for what is left of its group."""
    if child.returncode is None:
        child.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()


def filled_in(example: str, values: Mapping[str, str]) -> dict[str, str]:
    """The variables of ``.env.example`` as a person fills them in, with those that it does not name added."""
    lines = [line.partition("=") for line in example.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in lines} | dict(values)


def image_environment() -> dict[str, str]:
    """The ENV of the Dockerfile."""
    return {
        name: value
        for instruction in _instructions("ENV")
        for name, _, value in (word.partition("=") for word in shlex.split(instruction))
    }


def copied_by_the_image() -> list[str]:
    """What the Dockerfile copies into its working directory."""
    return [word for instruction in _instructions("COPY") for word in instruction.split()[:-1]]


def documented_commands() -> list[list[str]]:
    """The commands that docker/README.md has a person run with ``docker compose run --rm migrate``."""
    prefix = "docker compose run --rm migrate "
    lines = (DOCKER / "README.md").read_text().splitlines()
    return [shlex.split(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)]


def search_path(*folders: Path) -> str:
    """A PATH of this Python's programs, ``folders`` and the system's."""
    return os.pathsep.join([str(Path(sys.executable).parent), *map(str, folders), "/usr/local/bin", "/usr/bin", "/bin"])


def _instructions(name: str) -> Iterator[str]:
    text = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())
    return (line.removeprefix(f"{name} ") for line in text.splitlines() if line.startswith(f"{name} "))


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _interpolated(each, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [_interpolated(each, variables) for each in value]
    return _VARIABLE.sub(lambda match: _of(match, variables), value) if isinstance(value, str) else value


def _of(match: re.Match[str], variables: Mapping[str, str]) -> str:
    value = variables.get(match[1], "")
    assert value or not match[2], f"compose would end: {match[1]} is required"
    return value


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))
