"""Faults that a demo or a test switches on: what goes wrong, for whom, where and how often."""

from dataclasses import dataclass, fields
from random import Random
from typing import Any, Literal, get_args

from gda.errors import UsageError

FaultKind = Literal[
    "rate_limit",
    "server_error",
    "slow",
    "malformed",
    "index_delay",
    "rewrite_message_id",
    "accept_then_drop",
    "smtp_reject",
    "smtp_slow",
    "calendar_token_gone",
    "access_denied",
]
ENDPOINTS = (
    "auth",
    "token",
    "batch",
    "messages.list",
    "messages.get",
    "messages.send",
    "attachments.get",
    "history.list",
    "profile",
    "calendarList.list",
    "events.list",
    "smtp",
    "chat",
    "push",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One switched-on fault.

    Attributes:
        kind: what goes wrong.
        user: only for this account (SMTP: this recipient); None: for everybody.
        endpoint: only there (one of ``ENDPOINTS``); None: wherever the kind can happen.
        times: how often before it stops; None: until cleared.
        probability: chance from 0 to 1 at each opportunity, drawn from ``seed``.
        status: ``server_error``: the HTTP status, 500 to 504.
        after: ``server_error``, ``smtp_slow``: the request is carried out first, then the error or the delay comes.
        retry_after: ``rate_limit``: seconds until the client may try again.
        seconds: ``slow``, ``smtp_slow``: the delay; ``index_delay``: how long new mail stays out of searches.
        bytes_per_second: ``slow``: the pace of the answer's body; 0: all at once.
        code: ``smtp_reject``: the SMTP reply, 400 to 599.
    """

    kind: FaultKind
    user: str | None = None
    endpoint: str | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    status: int = 503
    after: bool = False
    retry_after: float = 2.0
    seconds: float = 1.0
    bytes_per_second: int = 0
    code: int = 451


_TYPES: dict[str, tuple[type, ...]] = {
    "user": (str, type(None)),
    "endpoint": (str, type(None)),
    "times": (int, type(None)),
    "probability": (int, float),
    "seed": (int,),
    "status": (int,),
    "after": (bool,),
    "retry_after": (int, float),
    "seconds": (int, float),
    "bytes_per_second": (int,),
    "code": (int,),
}
_RANGES = {"probability": (0, 1), "status": (500, 504), "code": (400, 599), "times": (1, 10**9)}


def fault_from(values: dict[str, Any]) -> Fault:
    """Build a fault from JSON values.

    Raises:
        UsageError: an unknown kind, endpoint or field, or a value out of its range.
    """
    kind = values.get("kind")
    if kind not in get_args(FaultKind):
        raise UsageError(f"no fault is called {kind!r}; choose one of {', '.join(get_args(FaultKind))}")
    known = {field.name for field in fields(Fault)}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"a fault has no field {name!r}; it may have {', '.join(sorted(known))}")
        if name != "kind":
            _check_value(name, value)
    return Fault(**values)


def _check_value(name: str, value: object) -> None:
    if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and name != "after"):
        raise UsageError(f"the fault's {name} is {value!r}, which has the wrong type")
    if name == "endpoint" and value is not None and value not in ENDPOINTS:
        raise UsageError(f"no end point is called {value!r}; choose one of {', '.join(ENDPOINTS)}")
    low, high = _RANGES.get(name, (0, 10**12))
    if isinstance(value, int | float) and not low <= value <= high:
        raise UsageError(f"the fault's {name} is {value}; it must be from {low} to {high}")


class Switchboard:
    """The faults that are on, with what is left of each."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._left: dict[int, int | None] = {}
        self._fired: dict[int, int] = {}
        self._random: dict[int, Random] = {}
        self._next = 1

    def __bool__(self) -> bool:
        return bool(self._faults)

    def switch_on(self, fault: Fault) -> int:
        """Switch a fault on and return its number."""
        number, self._next = self._next, self._next + 1
        self._faults[number] = fault
        self._left[number] = fault.times
        self._fired[number] = 0
        self._random[number] = Random(fault.seed)
        return number

    def clear(self, *which: int | str) -> None:
        """Switch off the faults with these numbers or of these kinds; all of them when none is named."""
        for number, fault in list(self._faults.items()):
            if not which or number in which or fault.kind in which:
                del self._faults[number]

    def take(self, kind: FaultKind, endpoint: str, *users: str) -> Fault | None:
        """Return the fault of that kind that strikes here and now, counting it, or None.

        Args:
            kind: what could go wrong.
            endpoint: where, one of ``ENDPOINTS``.
            users: the accounts concerned.
        """
        for number, fault in self._faults.items():
            if fault.kind == kind and self._applies(number, fault, endpoint, users):
                self._fired[number] += 1
                left = self._left[number]
                if left is not None:
                    self._left[number] = left - 1
                return fault
        return None

    def index_delay_ms(self, user: str) -> int:
        """Return how long a delivered message stays out of the user's searches, in milliseconds."""
        delays = (f.seconds for f in self._faults.values() if f.kind == "index_delay" and f.user in (None, user))
        return int(max(delays, default=0) * 1000)

    def listing(self) -> list[dict[str, Any]]:
        """Return every fault with its number, how often it struck and what is left."""
        return [
            {field.name: getattr(fault, field.name) for field in fields(Fault)}
            | {"number": number, "fired": self._fired[number], "left": self._left[number]}
            for number, fault in self._faults.items()
        ]

    def _applies(self, number: int, fault: Fault, endpoint: str, users: tuple[str, ...]) -> bool:
        if fault.user is not None and fault.user not in users:
            return False
        if fault.endpoint is not None and fault.endpoint != endpoint:
            return False
        if self._left[number] == 0:
            return False
        return fault.probability >= 1 or self._random[number].random() < fault.probability
