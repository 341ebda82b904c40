"""The life of an occurrence as pure decisions; the store writes what they return.

     (absent)  --promise, enqueue--> scheduled --claim--> running

     running   --Done-----> done
               --Skip-----> skipped (reason)
               --Retry----> retrying --(ready_at)--> claimable
               --Snooze---> retrying, unburnt
               --Hold-----> held (cause)
               --Fail-----> dead + dead letter
               --lease expired--> scheduled, or retrying as a suspect that runs alone; a suspect's second: dead (poison)
               --hand-back------> scheduled or retrying, unburnt

     held      --release--> scheduled, or skipped where it is no longer worth doing
               --expired--> skipped
     scheduled, retrying --hold-->   held
     scheduled, retrying, held --cancel--> cancelled
     dead      --replay-->  scheduled (a new life: attempts start again, their numbering goes on)
               --discard--> discarded

An attempt *burns* when it may have done harm or cost: it failed by itself. Snooze, hold and hand-back burn nothing.
"""

import random
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gda.errors import (
    ClientRefused,
    GdaError,
    InDoubt,
    NeedsConsent,
    Occupied,
    Permanent,
    ShuttingDown,
    Transient,
    Unverifiable,
    UsageError,
)
from gda.outcome import Done, Fail, Hold, Outcome, Retry, Skip, Snooze
from gda.retry import RetryPolicy

CONSENT, CLIENT = "consent:google", "client:google"
"""Causes that hold: a user must grant access again; the operator's OAuth client is refused."""
IN_DOUBT_RECHECK = timedelta(seconds=15)
TRACEBACK_FRAMES = 12


class Status(StrEnum):
    """Where an occurrence stands."""

    SCHEDULED = "scheduled"
    """Promised; nobody holds it."""
    RUNNING = "running"
    """Claimed under a lease and a fence."""
    RETRYING = "retrying"
    """Failed or snoozed; may be claimed again at ``ready_at``."""
    HELD = "held"
    """Waits for a cause to clear."""
    DONE = "done"
    SKIPPED = "skipped"
    """Nothing to do, or refused by a policy; ``reason`` says which."""
    DEAD = "dead"
    """Gave up; a dead letter lies in the inbox."""
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    """A person closed its dead letter without replaying it."""


CLAIMABLE = (Status.SCHEDULED, Status.RETRYING)
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset({Status.RUNNING, Status.HELD, Status.CANCELLED}),
    Status.RETRYING: frozenset({Status.RUNNING, Status.HELD, Status.CANCELLED}),
    Status.RUNNING: frozenset(
        {Status.SCHEDULED, Status.RETRYING, Status.HELD, Status.DONE, Status.SKIPPED, Status.DEAD}
    ),
    Status.HELD: frozenset({Status.SCHEDULED, Status.SKIPPED, Status.CANCELLED}),
    Status.DEAD: frozenset({Status.SCHEDULED, Status.DISCARDED}),
    Status.DONE: frozenset(),
    Status.SKIPPED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.DISCARDED: frozenset(),
}
"""Where an occurrence may go from where it stands; every write of the store is guarded by it."""

SETTLED = (Status.DONE, Status.SKIPPED, Status.DEAD, Status.CANCELLED, Status.DISCARDED)


class DeadReason(StrEnum):
    """Why an occurrence gave up."""

    ATTEMPTS = "attempts"
    AGE = "age"
    PERMANENT = "permanent"
    TIMEOUT = "timeout"
    POISON = "poison"
    IN_DOUBT = "in-doubt"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due instance; ``due_at``, ``ready_at`` and ``expires_at`` are aware UTC instants."""

    id: str
    kind: str
    dedup_key: str
    user_id: str | None
    schedule_id: str | None
    slot: str | None
    due_at: datetime
    status: Status
    queue: str
    priority: int
    payload: dict[str, Any] | None
    metadata: dict[str, str] | None
    suspect: bool
    ready_at: datetime
    expires_at: datetime | None
    timezone: str
    extra: bool
    fence: int
    burnt: int
    max_attempts: int
    timeout_seconds: int
    woken_by: str
    reason: str
    finished_at: datetime | None

    @property
    def label(self) -> str:
        """What a person calls it: user and slot."""
        return f"{self.user_id or 'system'} {self.slot or 'extra'}"


@dataclass(frozen=True, slots=True)
class Claim:
    """An occurrence taken by ``owner`` (in Prefect's ``flow_run_id``) under ``fence`` until its lease expires."""

    occurrence: Occurrence
    owner: str
    fence: int
    flow_run_id: str | None = None
    alone: bool = False
    """Performed while its process does nothing else, since a worker died under it before."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is kept of an error: no value that came from outside."""

    error_class: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the store shall write when an attempt ended.

    ``status`` RUNNING means: tried again inside this run, the lease is kept.
    """

    status: Status
    attempt_outcome: str
    burns: bool = False
    reason: str = ""
    ready_at: datetime | None = None
    dead_reason: DeadReason | None = None
    failure: Failure | None = None


def describe_failure(error: BaseException) -> Failure:
    """Reduce an error to what may be stored.

    The text of GDA's own errors is written without secrets or content and is kept; a foreign error's text may quote
    anything (a header, a row), so only its class and the places of its traceback are kept.
    """
    name = (
        type(error).__qualname__
        if isinstance(error, GdaError)
        else f"{type(error).__module__}.{type(error).__qualname__}"
    )
    message = str(error) if isinstance(error, GdaError) else f"{name} (its text is not stored: it may quote content)"
    frames = traceback.extract_tb(error.__traceback__)[-TRACEBACK_FRAMES:]
    places = "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    return Failure(name, message, places)


def outcome_of(error: Exception, now: datetime) -> Outcome:
    """Map what a job raised to what it means.

    Args:
        error: anything but cancellation and interpreter exit.
        now: the store's current instant (aware).

    Returns:
        The outcome that the job could have returned itself.
    """
    match error:
        case Transient():
            return Retry(str(error), error.retry_after)
        case NeedsConsent():
            return Hold(CONSENT)
        case ClientRefused():
            return Hold(CLIENT)
        case Unverifiable():
            return Fail(str(error), in_doubt=True)
        case InDoubt() | Occupied() | ShuttingDown():
            return Snooze(now + _pause(error), str(error))
        case Permanent() | UsageError():
            return Fail(str(error))
        case _:
            return Retry(describe_failure(error).message)


def _pause(error: InDoubt | Occupied | ShuttingDown) -> timedelta:
    if isinstance(error, Occupied):
        return error.wait
    return IN_DOUBT_RECHECK if isinstance(error, InDoubt) else timedelta(0)


def decide(
    occurrence: Occurrence,
    outcome: Outcome,
    *,
    policy: RetryPolicy,
    now: datetime,
    chance: random.Random,
    may_retry_here: bool = False,
    failure: Failure | None = None,
) -> Settlement:
    """Decide what follows from an attempt's outcome.

    Args:
        occurrence: as it was claimed; ``burnt`` counts the attempts before this one.
        outcome: what the job returned, or what its error was mapped to.
        policy: the kind's retry policy.
        now: the store's instant (aware UTC).
        chance: source of the backoff's jitter.
        may_retry_here: the caller can try again inside this run.
        failure: the error behind the outcome, where there was one.

    Returns:
        What the store shall write.
    """
    match outcome:
        case Done(summary):
            return Settlement(Status.DONE, "done", reason=summary)
        case Skip(reason):
            return Settlement(Status.SKIPPED, "skipped", reason=reason)
        case Snooze(until, reason):
            return Settlement(Status.RETRYING, "snoozed", reason=reason, ready_at=until, failure=failure)
        case Hold(cause):
            return Settlement(Status.HELD, "held", reason=cause, failure=failure)
        case Fail():
            return _dead(_why_failed(outcome), outcome.reason, failure)
        case Retry():
            return _retry(occurrence, outcome, policy, now, chance, may_retry_here, failure)


def _retry(
    occurrence: Occurrence,
    wanted: Retry,
    policy: RetryPolicy,
    now: datetime,
    chance: random.Random,
    may_retry_here: bool,
    failure: Failure | None,
) -> Settlement:
    reason, after = wanted.reason, wanted.after
    burnt = occurrence.burnt + 1
    most = min(policy.attempts, occurrence.max_attempts)
    if burnt >= most:
        why = DeadReason.TIMEOUT if wanted.timed_out else DeadReason.ATTEMPTS
        return _dead(why, f"{reason} (attempt {burnt} of {most})", failure)
    # A provider that names a time is waited for by the ledger, with the lease released.
    if may_retry_here and after is None:
        return Settlement(Status.RUNNING, "failed", burns=True, reason=reason, failure=failure)
    ready_at = now + policy.wait(burnt, retry_after=after, chance=chance)
    if occurrence.expires_at is not None and ready_at >= occurrence.expires_at:
        return _dead(
            DeadReason.AGE, f"{reason} (no attempt is left before {occurrence.expires_at:%Y-%m-%dT%H:%MZ})", failure
        )
    return Settlement(Status.RETRYING, "failed", burns=True, reason=reason, ready_at=ready_at, failure=failure)


def _why_failed(outcome: Fail) -> DeadReason:
    if outcome.in_doubt:
        return DeadReason.IN_DOUBT
    return DeadReason.POISON if outcome.poison else DeadReason.PERMANENT


def _dead(why: DeadReason, reason: str, failure: Failure | None) -> Settlement:
    return Settlement(Status.DEAD, "failed", burns=True, reason=reason, dead_reason=why, failure=failure)
