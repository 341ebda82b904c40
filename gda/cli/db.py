"""``gda db``: the schema's version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from gda.cli.kinds import adopt_earlier_names
from gda.cli.output import Json, show_json
from gda.cli.run import has_no_database, settings
from gda.errors import SchemaOutOfDate

if TYPE_CHECKING:
    from gda.store import Database

app = App(name="db")


@app.command
async def upgrade(revision: str = "head", /) -> None:
    """Bring the database up to this code's version: its schema, and the names of kinds; an empty one is made.

    Args:
        revision: A version, or head.
    """
    from gda.store import make_store
    from gda.store import upgrade as upgrade_schema
    from gda.store.schema import head

    async with _database(makes_home=True) as database:
        reached = await upgrade_schema(database, revision)
        print(f"schema {reached}")
        if reached == head():
            await adopt_earlier_names(make_store(database, settings()))


@app.command
async def downgrade(revision: Annotated[str, Parameter(allow_leading_hyphen=True)], /) -> None:
    """Bring the schema down; data that the older schema has no place for is lost.

    Args:
        revision: A version, -1 for the one before, or base for none.
    """
    from gda.store import downgrade as downgrade_schema

    if has_no_database(settings()):
        raise SchemaOutOfDate("there is no database yet, so nothing to bring down; `gda db upgrade` makes one")
    async with _database() as database:
        print(f"schema {await downgrade_schema(database, revision)}")


@app.command
async def current(*, json: Json = False) -> None:
    """Show the database's schema version and this code's."""
    from gda.store import current as current_schema
    from gda.store.schema import head

    found, wanted = None, head()
    if not has_no_database(settings()):
        async with _database() as database:
            found = await current_schema(database)
    if json:
        show_json({"current": found, "head": wanted, "up_to_date": found == wanted})
    elif found == wanted:
        print(f"schema {found}, up to date")
    else:
        print(f"schema {found or 'empty'}, this code needs {wanted}: run `gda db upgrade`")


@asynccontextmanager
async def _database(*, makes_home: bool = False) -> AsyncIterator["Database"]:
    from gda.store import open_database

    given = settings()
    if makes_home:
        given.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(given.database)
    try:
        yield database
    finally:
        await database.close()
