"""``python -m tests.mutants [WORDS]``: try every deliberate fault (or those whose name holds WORDS); print a table.

Each fault is written into a temporary copy of the tree, never into the tree itself. With ``--model`` faults in the
ledger are tried against the Hypothesis model alone (200 sequences of 50 steps), which must find each. Exit 1 when one
survives, when one no longer fits the code, or when the tests that name them fail without any fault.
"""

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.fault import Fault
from tests.mutants.faults import FAULTS, FOR_THE_MODEL
from tests.mutants.trial import Verdict, copy_tree, run_tests, try_fault

ROOT = Path(__file__).parents[2]
MODEL = "tests/integration/test_ledger_model.py::test_the_ledger_stands_where_the_model_does[sqlite]"


def main() -> int:
    """Try the faults that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="?", default="", help="try only faults whose name holds this")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    parser.add_argument("--model", action="store_true", help="try the ledger's faults against the model alone")
    parser.add_argument("--list", action="store_true", help="only list the faults")
    asked = parser.parse_args()
    chosen = [fault for fault in FAULTS if asked.words in fault.name]
    if asked.model:
        chosen = [replace(fault, tests=(MODEL,)) for fault in chosen if fault.name in FOR_THE_MODEL]
        os.environ.setdefault("MODEL", "200x50")
        os.environ["MODEL_SHRINK"] = "0"
    if asked.list or not chosen:
        print(
            "\n".join(f"{fault.name} ({', '.join(fault.invariants)})" for fault in chosen) or "no fault has this name"
        )
        return 0 if chosen else 2
    return asyncio.run(try_all(chosen, asked.jobs, 1800 if asked.model else 600))


async def try_all(faults: list[Fault], jobs: int, patience: int) -> int:
    """Check that the tests pass without a fault, then try each; 1 when something is not as it must be."""
    with TemporaryDirectory(prefix="gda-mutants-") as temporary:
        pristine = Path(temporary, "pristine")
        copy_tree(ROOT, pristine)
        tests = sorted({test for fault in faults for test in fault.tests if not fault.problems(pristine)})
        code, output = await run_tests(pristine, tests, patience) if tests else (0, "")
        if code != 0:
            print(output)
            print("the tests fail without any fault, so they can catch none")
            return 1
        print(f"{len(tests)} tests pass without a fault; each fault must make its own fail", flush=True)
        turn = asyncio.Semaphore(jobs)

        async def one(number: int, fault: Fault) -> Verdict:
            async with turn:
                verdict = await try_fault(fault, pristine, Path(temporary, f"fault-{number}"), patience)
            show(number, verdict)
            return verdict

        verdicts = await asyncio.gather(*(one(number, fault) for number, fault in enumerate(faults, 1)))
    return summarise(verdicts)


def show(number: int, verdict: Verdict) -> None:
    """Print one row, and below it the tests."""
    fault = verdict.fault
    print(f"{number:>3}  {fault.name:<58} {','.join(fault.invariants):<8} {verdict.seconds:>5.1f} s  {verdict.why}")
    for test in fault.tests:
        print(f"       {test}", flush=True)


def summarise(verdicts: list[Verdict]) -> int:
    """Print the sum and what was not caught."""
    caught = [verdict for verdict in verdicts if verdict.caught]
    invariants = {name for verdict in caught for name in verdict.fault.invariants}
    print(f"{len(caught)} of {len(verdicts)} faults were caught; invariants covered: {len(invariants)} of 12")
    for verdict in verdicts:
        if not verdict.caught:
            print(f"NOT CAUGHT: {verdict.fault.name}: {verdict.why}")
    return 0 if len(caught) == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
