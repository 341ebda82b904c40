"""All deliberate faults, in the order in which they are tried."""

from tests.mutants.calendar_faults import CALENDAR_FAULTS
from tests.mutants.job_faults import JOB_FAULTS
from tests.mutants.ledger_faults import LEDGER_FAULTS
from tests.mutants.replay_faults import REPLAY_FAULTS

INVARIANTS = tuple(f"I{number}" for number in range(1, 13))

FAULTS = (*LEDGER_FAULTS, *REPLAY_FAULTS, *JOB_FAULTS, *CALENDAR_FAULTS)

FOR_THE_MODEL = (
    "the time at which it is ready ignored by claim",
    "expired lease not claimable",
    "fence ignored on settle",
    "fence does not rise at claim",
    "a late worker may write intents and confirmations",
    "the check before the send forgets the lease's end",
    "taken over while a send may be under way",
    "attempt written at claim",
    "dead letter swallowed",
    "poison leaves no dead letter",
    "poison run again in company",
    "a crash alone does not make it dead",
    "user id missing when a user is held",
    "replay past dedup: under a new name",
    "replay past dedup: of a letter that is closed",
    "replay with the attempts of the old life",
    "a snooze counts as a burnt attempt",
    "a worker's death burns an attempt",
)
"""Faults of the ledger that the Hypothesis model must find alone, without the tests named beside them."""
