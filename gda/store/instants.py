"""Instants in the database: TIMESTAMPTZ on PostgreSQL, fixed-width ISO text on SQLite, always aware and in UTC here."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, TypeDecorator


class UtcInstant(TypeDecorator[datetime]):
    """An aware instant; naive values are refused because nobody could say when they are.

    The conversions stand in place of SQLAlchemy's own: each value of a batch passed through four functions there.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Callable[[datetime | None], Any]:
        """Turn an aware value into what the driver takes."""
        return _to_text if dialect.name == "sqlite" else _to_utc

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], datetime | None]:
        """Give an aware UTC value back."""
        return _from_text if dialect.name == "sqlite" else _as_it_is

    def process_literal_param(self, value: datetime | None, dialect: Any) -> str:
        """Refuse to be written into a statement: instants are bound, never spelled."""
        raise NotImplementedError(f"bind {value!r} instead of writing it into the statement")


_OFFSET = "+00:00"


def _to_utc(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError(f"naive datetime {value!r}: pass an aware one")
    return value.astimezone(UTC)


def _to_text(value: datetime | None) -> str | None:
    instant = _to_utc(value)
    return None if instant is None else instant.isoformat(" ", "microseconds").removesuffix(_OFFSET)


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value + _OFFSET)


def _as_it_is(value: datetime | None) -> datetime | None:
    return value
