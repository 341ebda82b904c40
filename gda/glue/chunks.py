"""A chunk: the occurrences that share one Prefect task run; for most kinds that is one."""

from collections import Counter
from collections.abc import Iterable, Sequence

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from gda.glue.runs import AGAIN, task_state
from gda.lifecycle import Claim, Settlement, Status


class Chunk:
    """What is left to attempt, and how the rest has ended so far.

    Args:
        claims: of one kind, at least one.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        self._order = [claim.occurrence.id for claim in claims]
        self._settlements: dict[str, Settlement | None] = {}
        self.kind = claims[0].occurrence.kind
        self.label = claims[0].occurrence.label if len(claims) == 1 else f"{self.kind} x {len(claims)}"
        self.left = list(claims)

    @property
    def name(self) -> str:
        """The id of its first occurrence."""
        return self._order[0]

    @property
    def ended(self) -> bool:
        """Whether each occurrence has left this run, settled or taken over."""
        return not self.left

    def note(self, tried: Iterable[tuple[Claim, Settlement | None]]) -> State[None]:
        """Write down one round of attempts; the state says whether Prefect shall run the task again."""
        self.left = []
        for claim, settlement in tried:
            self._settlements[claim.occurrence.id] = settlement
            if settlement is not None and settlement.status is Status.RUNNING:
                self.left.append(claim)
        return self._state()

    def endings(self) -> list[Status | None]:
        """How each ended, in their order; None when another worker took it over."""
        found = [self._settlements[identity] for identity in self._order]
        return [settlement.status if settlement else None for settlement in found]

    def _state(self) -> State[None]:
        settlements = list(self._settlements.values())
        if len(self._order) == 1:
            return task_state(settlements[0])
        if self.left:
            return Failed(name=AGAIN, message=f"{len(self.left)} of {len(self._order)} are tried again")
        states = [task_state(settlement) for settlement in settlements]
        counts = Counter((state.name or "").lower() for state in states)
        message = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        if any(state.is_failed() for state in states):
            return Failed(message=message)
        return Completed(message=message)
