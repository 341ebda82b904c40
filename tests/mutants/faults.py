"""All deliberate faults, in the order in which they are tried."""

from tests.mutants.job_faults import JOB_FAULTS
from tests.mutants.ledger_faults import LEDGER_FAULTS

INVARIANTS = tuple(f"I{number}" for number in range(1, 13))

FAULTS = (*LEDGER_FAULTS, *JOB_FAULTS)
