"""What every tier needs: an environment that belongs to the tests alone, and the databases to run on."""

import functools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.postgres import Postgres, running_postgres

WITH_WORKERS = ("acceptance", "outage")
WITHOUT_POSTGRES = "GDA_TEST_WITHOUT_POSTGRES"
FOR_TESTS = (WITHOUT_POSTGRES, "GDA_CHAOS")
"""What the tests themselves are told; GDA knows nothing of it."""


def pytest_configure() -> None:
    """Forget the developer's own GDA and Prefect before anything reads them; children inherit the same."""
    for name in [name for name in os.environ if name.startswith(("GDA_", "PREFECT_")) and name not in FOR_TESTS]:
        del os.environ[name]
    # A shell's background job ignores Ctrl-C and hands that down; the children of our tests must hear it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Prefect reads its profile while it is imported, so this cannot wait for a fixture.
    home = tempfile.TemporaryDirectory(prefix="gda-tests-", ignore_cleanup_errors=True)
    _homes.append(home)
    os.environ["PREFECT_HOME"] = home.name
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["DO_NOT_TRACK"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process, for they share servers, and all that start real workers one after another."""
    for item in items:
        folder = item.path.parent.name
        group = "real workers" if folder in WITH_WORKERS else f"{folder}/{item.path.name}"
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_unconfigure() -> None:
    """Remove the folder that stood in for Prefect's home."""
    while _homes:
        _homes.pop().cleanup()


_homes: list[tempfile.TemporaryDirectory[str]] = []


@pytest.fixture(autouse=True)
def gda_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own state folder (not created yet) through ``GDA_HOME``."""
    home = tmp_path / "gda-home"
    monkeypatch.setenv("GDA_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], Postgres]]:
    """Return the function that gives the session's PostgreSQL, started by its first call (about 1.5 s)."""
    with ExitStack() as stack:
        yield functools.cache(lambda: stack.enter_context(running_postgres()))


@pytest.fixture
async def postgres_url(postgres: Callable[[], Postgres]) -> AsyncIterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database of the test's own."""
    if os.environ.get(WITHOUT_POSTGRES) == "1":
        pytest.skip(f"{WITHOUT_POSTGRES}=1: PostgreSQL is left out by the wish of whoever runs the tests")
    server = postgres()
    url = await server.create_database()
    yield url
    await server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of an empty database of the test's own, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'gda.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
