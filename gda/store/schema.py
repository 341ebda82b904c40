"""The schema's versions: up, down, and the refusal to run on another one."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema

from gda.errors import SchemaOutOfDate, Unavailable, UsageError
from gda.store.database import Database

# Prefect keeps its own `alembic_version`; both may live in one database.
VERSION_TABLE = "gda_alembic_version"
MIGRATIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """The schema version this code was written for."""
    found = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert found is not None
    return found


async def current(database: Database) -> str | None:
    """The database's schema version, None when it has none. Raises Unavailable when it cannot be reached.

    A SQLite file that does not exist is not created.
    """
    if _is_missing_file(database):
        return None
    try:
        async with database.read() as connection:
            return await connection.run_sync(_version)
    except (OSError, OperationalError):
        where = database.engine.url.render_as_string(hide_password=True)
        raise Unavailable(
            f"database {where} cannot be opened: check GDA_DATABASE_URL and that the server runs"
        ) from None


def _make_folder(database: Database) -> None:
    file = database.engine.url.database
    if database.is_sqlite and file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def _is_missing_file(database: Database) -> bool:
    file = database.engine.url.database
    return database.is_sqlite and bool(file) and file != ":memory:" and not Path(str(file)).exists()


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


async def require_current(database: Database) -> None:
    """Refuse a database of another version. Raises SchemaOutOfDate with the command to run."""
    found = await current(database)
    if found != head():
        advice = (
            "run `gda db upgrade`" if found is None or found < head() else "update GDA to the version that wrote it"
        )
        raise SchemaOutOfDate(f"the database's schema is {found or 'empty'}, this code needs {head()}: {advice}")


async def upgrade(database: Database, revision: str = "head") -> str:
    """Bring the schema up to ``revision``; returns the version it has then. Raises UsageError for an unknown one."""
    return await _migrate(database, lambda config: command.upgrade(config, revision), create=True)


async def downgrade(database: Database, revision: str) -> str:
    """Bring the schema down to ``revision`` (``base``: none); returns the version it has then. Raises UsageError."""
    return await _migrate(database, lambda config: command.downgrade(config, revision))


async def _migrate(database: Database, step: Callable[[Config], None], *, create: bool = False) -> str:
    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        step(config)

    try:
        _make_folder(database)
        async with database.write() as connection:
            if create and database.schema is not None:
                await connection.execute(CreateSchema(database.schema, if_not_exists=True))
            await connection.run_sync(run)
    except CommandError as error:
        raise UsageError(f"{error}: name a version, `head`, `-1` or `base`") from None
    except OSError:
        where = database.engine.url.render_as_string(hide_password=True)
        raise Unavailable(
            f"database {where} cannot be opened: check GDA_DATABASE_URL and that the server runs"
        ) from None
    return await current(database) or "base"
