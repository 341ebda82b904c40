"""A PostgreSQL that was restarted meanwhile: connections that lay in the pool are asked before they are used."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gda.store import Database
from gda.store import database as module
from tests.builders import a_database


async def cut_off(url: str) -> None:
    """End every other connection to the database, as a restart does."""
    async with a_database(url) as other, other.write() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        assert (await connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))).rowcount > 0


async def answers(database: Database) -> bool:
    async with database.read() as connection:
        return (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_connection_that_has_rested_is_asked_and_replaced(postgres_url, monkeypatch):
    async with a_database(postgres_url) as database:
        assert await answers(database)
        await cut_off(postgres_url)
        monkeypatch.setattr(module, "TRUSTED_SECONDS", 0)
        assert await answers(database)


async def test_one_that_was_just_in_use_fails_once_and_the_pool_recovers(postgres_url, monkeypatch):
    monkeypatch.setattr(module, "TRUSTED_SECONDS", 60)
    async with a_database(postgres_url) as database:
        assert await answers(database)
        await cut_off(postgres_url)
        with pytest.raises(DBAPIError):
            await answers(database)
        assert await answers(database)
