"""Which mail one digest is about, fixed by the first attempt so that later ones render the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gda.errors import UsageError


@dataclass(frozen=True, slots=True)
class Window:
    """Mail received after ``since`` and up to ``until`` (aware), named by Gmail's message ids, oldest first."""

    since: datetime
    until: datetime
    message_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise UsageError("A digest window needs times with a timezone; pass aware datetimes.")

    def to_json(self) -> dict[str, object]:
        """A plain dict for a JSON column; times in ISO 8601, UTC."""
        return {
            "since": self.since.astimezone(UTC).isoformat(),
            "until": self.until.astimezone(UTC).isoformat(),
            "message_ids": list(self.message_ids),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Window":
        """The window that ``to_json`` wrote; raises ``UsageError`` on anything else."""
        try:
            since, until, ids = value["since"], value["until"], value["message_ids"]
            if not isinstance(since, str) or not isinstance(until, str) or not isinstance(ids, list):
                raise TypeError
            return cls(datetime.fromisoformat(since), datetime.fromisoformat(until), tuple(str(each) for each in ids))
        except (KeyError, TypeError, ValueError):
            raise UsageError(
                "Not a digest window: since, until (ISO 8601 with offset) and message_ids are needed."
            ) from None
