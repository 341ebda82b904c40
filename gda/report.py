"""What a wake-up did, in counts, ids and sentences; no content, no addresses."""

from collections.abc import Mapping
from dataclasses import dataclass

from gda.lifecycle import Occurrence, Status
from gda.store import Promised


@dataclass(frozen=True, slots=True)
class Report:
    """One wake-up's result: how many occurrences ended where, what was promised, and what was settled before."""

    endings: Mapping[str, int]
    promised: Promised
    targets: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def performed(self) -> int:
        """Occurrences that this wake-up attempted."""
        return sum(self.endings.values())

    @property
    def dead(self) -> int:
        """Occurrences that gave up in this wake-up."""
        return self.endings.get(Status.DEAD, 0)

    def __str__(self) -> str:
        parts = [f"{count} {status}" for status, count in sorted(self.endings.items())]
        if self.promised.skipped:
            parts.append(f"{self.promised.skipped} refused by policy")
        if self.promised.problems:
            parts.append(f"{len(self.promised.problems)} schedules cannot be read")
        parts += self.told
        return "; ".join(parts) or "nothing due"


def standing_of(occurrence: Occurrence) -> str:
    """Say why an occurrence that a person asked for is not performed now."""
    name = f"slot {occurrence.slot}" if occurrence.slot else "this request"
    settled = (
        f"{name} was already settled by occurrence {occurrence.id}, woken by {occurrence.woken_by}: {occurrence.status}"
    )
    if occurrence.finished_at is not None:
        settled += f" at {occurrence.finished_at:%Y-%m-%dT%H:%M:%SZ}"
    if occurrence.reason:
        settled += f" ({occurrence.reason})"
    match occurrence.status:
        case Status.DEAD:
            return f"{settled}; use replay to try it again"
        case Status.RUNNING:
            return f"{name} is being performed by another worker as occurrence {occurrence.id}; ask again later"
        case Status.SCHEDULED | Status.RETRYING:
            why = f" ({occurrence.reason})" if occurrence.reason else ""
            return f"{name} waits as occurrence {occurrence.id} for {occurrence.ready_at:%Y-%m-%dT%H:%M:%SZ}{why}"
        case Status.HELD:
            return f"{name} is held by occurrence {occurrence.id} until its cause clears ({occurrence.reason})"
        case _:
            return settled
