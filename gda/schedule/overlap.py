"""What becomes of a slot that is due while another of its schedule runs (DESIGN 5)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gda.schedule.due import DueDecision, Promise


class Overlap(StrEnum):
    """``queue``: it waits until the other has ended. ``skip``: it is refused."""

    SKIP = "skip"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Run:
    """A performance of one slot: from its first attempt until it settled (aware; None: it still runs)."""

    slot: str
    started_at: datetime
    finished_at: datetime | None

    def covers(self, instant: datetime) -> bool:
        """Whether it was running at ``instant``."""
        return self.started_at <= instant and (self.finished_at is None or instant < self.finished_at)


def skip_overlapping(decision: DueDecision, runs: Iterable[Run]) -> DueDecision:
    """Refuse the slots that fell due while another was running, whenever that comes to light.

    Args:
        decision: what would be promised.
        runs: how other slots of the schedule were performed.

    Returns:
        The decision with those slots skipped, each naming the one that was running.
    """
    known = tuple(runs)
    return replace(decision, promises=tuple(_judge(promise, known) for promise in decision.promises))


def _judge(promise: Promise, runs: Iterable[Run]) -> Promise:
    if promise.status == "skipped":
        return promise
    other = next((run for run in runs if run.covers(promise.due_at)), None)
    if other is None:
        return promise
    return replace(promise, status="skipped", reason=f"overlap skip: {other.slot} was running", not_before=None)
