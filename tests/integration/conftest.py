"""One real Prefect server for all tests that need one, since it takes ten seconds and more to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prefect_server import PrefectServer, prefect_server_process


@pytest.fixture(scope="session")
def shared_prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The session's Prefect server with whatever earlier tests left in it."""
    home: Path = tmp_path_factory.mktemp("prefect-server")
    with prefect_server_process(home) as server:
        yield server


@pytest.fixture
async def prefect_server(shared_prefect_server: PrefectServer) -> PrefectServer:
    """The session's Prefect server, without deployments, work pools and block documents."""
    await shared_prefect_server.emptied()
    return shared_prefect_server
