"""Reading the ledger for people: occurrences, their attempts and effects, and counts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import func, select

from gda.errors import UnknownOccurrence
from gda.lifecycle import Occurrence
from gda.store.claims import OCCURRENCE_COLUMNS, occurrence_from
from gda.store.database import Database
from gda.store.overlaps import running_beside
from gda.store.records import Attempt, Effect
from gda.store.tables import attempts, dead_letters, effects, occurrences


@dataclass(frozen=True, slots=True)
class Story:
    """One occurrence with everything that happened to it; ``waits_for`` is a running slot that it must let end."""

    occurrence: Occurrence
    attempts: tuple[Attempt, ...]
    effects: tuple[Effect, ...]
    dead_reason: str | None
    flow_run_id: str | None
    waits_for: str | None = None


class History:
    """What happened, as people ask for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self,
        *,
        user_id: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        ids: Sequence[str] | None = None,
        key: str | None = None,
        limit: int = 50,
    ) -> list[Occurrence]:
        """The latest occurrences, newest due first, narrowed where asked; ``key`` is a name within its kind."""
        query = select(*OCCURRENCE_COLUMNS).order_by(occurrences.c.due_at.desc(), occurrences.c.id).limit(limit)
        own = occurrences.c
        wanted = {own.user_id: user_id, own.kind: kind, own.status: status, own.dedup_key: key}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == value)
        if ids is not None:
            query = query.where(occurrences.c.id.in_(ids))
        async with self._database.read() as connection:
            return [occurrence_from(row) for row in await connection.execute(query)]

    async def story(self, occurrence_id: str) -> Story:
        """Everything about one occurrence; an unambiguous beginning of its id is enough. Raises UnknownOccurrence."""
        async with self._database.read() as connection:
            query = select(*OCCURRENCE_COLUMNS, occurrences.c.flow_run_id).limit(2)
            query = query.where(occurrences.c.id.startswith(occurrence_id, autoescape=True))
            rows = (await connection.execute(query)).all()
            if len(rows) != 1 or not occurrence_id:
                raise UnknownOccurrence(
                    f"occurrence {occurrence_id!r} {'is ambiguous' if rows else 'does not exist'}; "
                    f"`gda occurrences list` shows ids"
                )
            row = rows[0]
            tries = await connection.execute(
                select(attempts).where(attempts.c.occurrence_id == row.id).order_by(attempts.c.number)
            )
            steps = await connection.execute(select(effects).where(effects.c.occurrence_id == row.id))
            letter = select(dead_letters.c.reason).where(dead_letters.c.occurrence_id == row.id)
            return Story(
                occurrence=occurrence_from(row),
                attempts=tuple(_make(Attempt, attempt) for attempt in tries),
                effects=tuple(_make(Effect, effect) for effect in steps),
                dead_reason=(await connection.execute(letter)).scalar_one_or_none(),
                flow_run_id=row.flow_run_id,
                waits_for=await connection.scalar(running_beside(row)),
            )

    async def counts(self, *, kind: str | None = None, ids: Sequence[str] | None = None) -> dict[str, int]:
        """How many occurrences stand in each status."""
        query = select(occurrences.c.status, func.count()).group_by(occurrences.c.status)
        if kind is not None:
            query = query.where(occurrences.c.kind == kind)
        if ids is not None:
            query = query.where(occurrences.c.id.in_(ids))
        async with self._database.read() as connection:
            return {status: count for status, count in (await connection.execute(query)).tuples()}


def _make(cls: Any, row: Any) -> Any:
    return cls(**{f.name: getattr(row, f.name) for f in fields(cls)})
