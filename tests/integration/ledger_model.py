"""What the ledger promises, in as few lines as it can be said; the machine beside it compares every step."""

from dataclasses import dataclass
from datetime import datetime, timedelta

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 3
WAITING, SETTLED = ("scheduled", "retrying"), ("done", "skipped", "dead", "cancelled", "discarded")


@dataclass
class Row:
    """One occurrence. ``open`` is None while no attempt runs, else whether that one runs alone."""

    user: str
    ready: datetime
    expires: datetime
    status: str = "scheduled"
    fence: int = 0
    burnt: int = 0
    attempts: int = 0
    suspect: bool = False
    open: bool | None = None
    owner: str | None = None
    lease: datetime | None = None
    effect: str | None = None
    busy: datetime | None = None
    letter: str | None = None

    def takes(self, owner: str, now: datetime) -> None:
        self.status, self.owner, self.lease, self.fence = "running", owner, now + LEASE, self.fence + 1

    def lets_go(self, status: str, ready: datetime) -> None:
        self.status, self.ready, self.owner, self.lease, self.open = status, ready, None, None, None
        self.letter = "open" if status == "dead" else self.letter

    def goes_back(self, now: datetime) -> None:
        self.lets_go("retrying" if self.attempts else "scheduled", max(self.ready, now))

    def is_abandoned(self, now: datetime) -> bool:
        sending = self.effect == "intent" and self.busy is not None and self.busy > now
        return self.status == "running" and self.lease is not None and self.lease <= now and not sending

    def recovers(self, now: datetime) -> None:
        if self.open:
            self.lets_go("dead", self.ready)
        else:
            self.suspect = self.suspect or self.open is False
            self.goes_back(now)

    def settles(self, how: str, now: datetime, wait: timedelta, here: bool) -> None:
        self.burnt += how in ("retry", "fail")
        exhausted = self.burnt >= MOST_ATTEMPTS
        if how == "retry" and here and not exhausted:
            self.open = None
            return
        late = how == "retry" and now + wait >= self.expires
        ends = {"done": "done", "skip": "skipped", "hold": "held", "fail": "dead", "snooze": "retrying"}
        status = ends.get(how) or ("dead" if exhausted or late else "retrying")
        self.lets_go(status, now + wait if status == "retrying" else self.ready)
        self.suspect = False

    def is_replayed(self, now: datetime) -> None:
        self.lets_go("scheduled", now)
        self.letter, self.burnt, self.suspect, self.expires = "replayed", 0, False, now + timedelta(hours=24)
