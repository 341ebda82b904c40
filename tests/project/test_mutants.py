"""The deliberate faults fit the code as it stands; ``make mutants`` tries whether tests catch them."""

from pathlib import Path

from tests.mutants.faults import FAULTS, FOR_THE_MODEL, INVARIANTS

ROOT = Path(__file__).parents[2]
NAMED = (
    "no unique name of occurrences",
    "insert without conflict clause",
    "fence ignored on settle",
    "lease compared with the worker's clock",
    "expired lease not claimable",
    "attempt written at claim",
    "dead letter swallowed",
    "dead letter in a second transaction",
    "replay past dedup: under a new name",
    "cursor moved before the send",
    "window rebuilt on retry",
    "intent written after the send",
    "in doubt treated as not sent at once",
    "sweep without grace",
    "next_due_at advanced in a transaction of its own",
    "user id missing in the query of a scope",
    "retry-after ignored",
    "backoff without cap",
    "token in an exception's text",
    "poison run again in company",
)
"""What nobody may take out of the list: the twenty faults that the ledger was to be tried with from the beginning."""


def test_every_fault_fits_the_code_and_names_tests_that_exist() -> None:
    assert {fault.name: problems for fault in FAULTS if (problems := fault.problems(ROOT))} == {}


def test_there_is_a_fault_against_every_invariant() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20
    assert set(INVARIANTS) == {name for fault in FAULTS for name in fault.invariants}


def test_the_named_faults_and_those_of_the_model_are_there() -> None:
    names = {fault.name for fault in FAULTS}
    assert [name for name in (*NAMED, *FOR_THE_MODEL) if name not in names] == []
    assert len(FOR_THE_MODEL) >= 8


def test_every_fault_changes_something_and_is_caught_by_something() -> None:
    assert [fault.name for fault in FAULTS if not (fault.edits and fault.tests)] == []
