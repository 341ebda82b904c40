"""Migrations, up and down, on both databases; and the refusal to run on another version."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from gda.errors import SchemaOutOfDate, Unavailable, UsageError
from gda.settings import Settings
from gda.store import current, downgrade, open_database, open_store, upgrade
from gda.store.schema import VERSION_TABLE, head
from gda.store.tables import metadata
from tests.builders import a_database


async def test_migrating_from_nothing_gives_the_schema_that_the_code_describes(database_url):
    async with a_database(database_url) as database, database.read() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "version_table": VERSION_TABLE}), metadata
            )
        )

    assert differences == []


async def test_down_to_nothing_leaves_no_table_behind(database_url):
    async with a_database(database_url) as database:
        reached = await downgrade(database, "base")
        async with database.read() as connection:
            tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())

    assert reached == "base"
    assert tables == [VERSION_TABLE]


async def test_an_empty_database_is_refused_with_the_command_to_run(database_url):
    settings = Settings(database_url=database_url)

    with pytest.raises(SchemaOutOfDate, match=r"empty.*run `gda db upgrade`"):
        async with open_store(settings):
            pass


async def test_a_sqlite_file_that_is_not_there_is_not_made_by_looking(tmp_path):
    database = open_database(f"sqlite+aiosqlite:///{tmp_path}/none.db")

    assert await current(database) is None
    assert not (tmp_path / "none.db").exists()


async def test_upgrading_twice_changes_nothing(database_url):
    async with a_database(database_url) as database:
        assert await upgrade(database) == head()


async def test_an_unknown_revision_is_named(database_url):
    async with a_database(database_url) as database:
        with pytest.raises(UsageError, match="7777"):
            await upgrade(database, "7777")


async def test_a_server_that_is_away_is_said_in_one_sentence_without_the_password():
    database = open_database("postgresql://someone:hunter2@127.0.0.1:9/gda")

    with pytest.raises(Unavailable, match="cannot be opened") as raised:
        await current(database)

    assert "hunter2" not in str(raised.value)


def test_another_database_is_refused():
    with pytest.raises(UsageError, match="use sqlite"):
        open_database("mysql://somewhere/gda")
