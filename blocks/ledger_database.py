"""Where the ledger is: a connector block of prefect-sqlalchemy, the source of the URL of GDA's own engine.

The password goes into the connector's own secret field: a URL saved as text is shown in clear by Prefect's API and UI.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect_sqlalchemy import AsyncSqlAlchemyConnector, ConnectionComponents  # type: ignore[import-untyped]
from pydantic import SecretStr, ValidationError

from gda.errors import UsageError
from gda.settings import Settings

BLOCK = AsyncSqlAlchemyConnector
DOCUMENT = "gda-ledger"
_SQLITE = "sqlite+aiosqlite"
_IN_MEMORY = (None, "", ":memory:")


def make(settings: Settings) -> AsyncSqlAlchemyConnector:
    """The block that carries the database's URL; a relative SQLite path is made absolute first.

    Raises:
        UsageError: no asynchronous driver, not a URL, or a database in memory, which no other process can open.
    """
    try:
        url = _url_of(settings.database)
    except (ValidationError, ValueError):
        raise UsageError(
            "GDA_DATABASE_URL is no URL with an asynchronous driver; write sqlite+aiosqlite:///FILE or "
            "postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE"
        ) from None
    database = url.database
    if url.drivername == _SQLITE:
        if database in _IN_MEMORY:
            raise UsageError("GDA_DATABASE_URL is a database in memory, which no worker can open; name a file")
        database = str(Path(database).absolute())
    return AsyncSqlAlchemyConnector(
        connection_info=ConnectionComponents(
            driver=url.drivername,
            username=url.username,
            password=None if url.password is None else SecretStr(url.password),
            host=url.host,
            port=url.port,
            database=database,
            query=dict(url.query) or None,
        )
    )


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a block document holds, be the connection written as a URL or in parts.

    Raises:
        UsageError: the connection is not one of an asynchronous driver.
    """
    info = data["connection_info"]
    try:
        given = ConnectionComponents(**info) if isinstance(info, Mapping) else str(info)
        url = AsyncSqlAlchemyConnector(connection_info=given)._rendered_url
    except (ValidationError, ValueError):
        raise UsageError(f"block {DOCUMENT!r} holds no connection with an asynchronous driver; correct it") from None
    return {"database_url": SecretStr(url.render_as_string(hide_password=False))}


def _url_of(text: str) -> Any:
    return AsyncSqlAlchemyConnector(connection_info=text)._rendered_url
