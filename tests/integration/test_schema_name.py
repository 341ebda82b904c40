"""GDA's tables in a PostgreSQL schema of their own, and the refusal of names that would need quoting."""

import pytest
from sqlalchemy import text

from blocks import ledger_database
from gda.errors import SchemaOutOfDate, UsageError
from gda.settings import Settings, load_settings
from gda.store import ByHand, Scope, Waker, Worker, current, downgrade, open_database, open_store, upgrade
from gda.store.schema import head
from tests.builders import a_user_with_digest

TABLES = text("SELECT table_schema FROM information_schema.tables WHERE table_name LIKE 'gda\\_%' GROUP BY 1")


async def made(settings: Settings) -> str:
    database = open_database(settings.database)
    reached = await upgrade(database)
    await database.close()
    return reached


async def test_two_schemas_of_one_database_hold_two_ledgers(postgres_url, monkeypatch):
    monkeypatch.setenv("GDA_DATABASE_URL", postgres_url)
    seen = {}
    for name in ("gda_one", "gda_two"):
        monkeypatch.setenv("GDA_DATABASE_SCHEMA", name)
        settings = load_settings()
        with pytest.raises(SchemaOutOfDate, match="empty"):
            async with open_store(settings):
                pass
        assert await made(settings) == head()
        async with open_store(settings) as store:
            await a_user_with_digest(store, "ada")
            await store.ledger.promise_by_hand(Scope("digest"), ByHand(), Waker("hand"))
            seen[name] = len(await store.ledger.claim(Scope("digest"), Worker("w"), limit=10))
    async with open_store(settings) as store, store.database.read() as connection:
        schemas = set((await connection.execute(TABLES)).scalars())

    assert seen == {"gda_one": 1, "gda_two": 1}
    assert schemas == {"gda_one", "gda_two"}


async def test_the_way_down_leaves_the_neighbours_schema_alone(postgres_url):
    one, two = (open_database(f"{postgres_url}?schema={name}") for name in ("gda_one", "gda_two"))
    for database in (one, two):
        await upgrade(database)

    assert await downgrade(one, "base") == "base"
    assert (await current(one), await current(two)) == (None, head())
    for database in (one, two):
        await database.close()


@pytest.mark.parametrize("name", ["Ledger", "a-b", 'x"; DROP SCHEMA public; --', "pg_gda", "1st", "a" * 64])
def test_a_name_that_would_need_quoting_is_refused_in_one_sentence(monkeypatch, name):
    monkeypatch.setenv("GDA_DATABASE_URL", "postgresql+asyncpg://gda@localhost/gda")
    monkeypatch.setenv("GDA_DATABASE_SCHEMA", name)

    with pytest.raises(UsageError, match=r"GDA_DATABASE_SCHEMA=.*is no plain name: write up to 63") as refused:
        load_settings()

    assert "\n" not in str(refused.value)


def test_a_schema_on_sqlite_is_refused(monkeypatch):
    monkeypatch.setenv("GDA_DATABASE_SCHEMA", "ledger")

    with pytest.raises(UsageError, match="only PostgreSQL has schemas"):
        load_settings()
    with pytest.raises(UsageError, match="only PostgreSQL has schemas"):
        open_database("sqlite+aiosqlite:///gda.db?schema=ledger")
    with pytest.raises(UsageError, match="is no plain name"):
        open_database("postgresql+asyncpg://gda@localhost/gda?schema=Not%20plain")


def test_the_schema_travels_in_the_url_and_the_url_of_a_block_wins(monkeypatch):
    monkeypatch.setenv("GDA_DATABASE_SCHEMA", "mine")

    assert Settings(database_url="postgresql+asyncpg://h/d?ssl=require").database.endswith("?ssl=require&schema=mine")
    assert Settings(database_url="postgresql+asyncpg://h/d?schema=theirs").database.endswith("d?schema=theirs")


def test_a_workers_block_carries_the_schema():
    here = Settings(database_url="postgresql+asyncpg://gda:secret@db/gda", database_schema="ledger")
    document = ledger_database.make(here).model_dump(mode="python")["connection_info"]
    there = ledger_database.read({"connection_info": document})["database_url"].get_secret_value()

    assert there.endswith("@db/gda?schema=ledger")
    assert open_database(there).schema == "ledger"
