"""Put a fault into a copy of the tree, run the tests that must catch it, and judge."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.fault import Fault

COPIED = ("gda", "flows", "deployments", "blocks", "tests", "docs", "pyproject.toml", "prefect.yaml", "README.md")
PATIENCE_SECONDS = 240
PYTEST = ("-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended; ``caught`` when every named test failed and nothing else went wrong."""

    fault: Fault
    caught: bool
    why: str
    seconds: float


def copy_tree(source: Path, target: Path) -> None:
    """Copy what tests need, with compiled bytecode where there is some."""
    for name in COPIED:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, target / name)
        elif path.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / name)


async def try_fault(fault: Fault, pristine: Path, folder: Path, patience: int = PATIENCE_SECONDS) -> Verdict:
    """Judge one fault in a copy of ``pristine`` below ``folder``; its tests get ``patience`` seconds in all."""
    started = time.monotonic()
    if problems := fault.problems(pristine):
        return Verdict(fault, False, "OUT OF DATE: " + "; ".join(problems), 0.0)
    await asyncio.to_thread(copy_tree, pristine, folder)
    for edit in fault.edits:
        edit.apply(folder)
        _forget_bytecode(folder / edit.file)
    code, output = await run_tests(folder, fault.tests, patience)
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    survivors = [test for test in fault.tests if f"FAILED {test}" not in output]
    return Verdict(
        fault, code == 1 and not survivors, _why(code, survivors, output, patience), time.monotonic() - started
    )


def _why(code: int | None, survivors: Sequence[str], output: str, patience: int) -> str:
    if code is None:
        return f"NOT JUDGED: the tests took longer than {patience} s"
    if code > 1:
        return f"NOT JUDGED: pytest ended with {code}: {output.strip().splitlines()[-1]}"
    return f"SURVIVED: {', '.join(survivors)} passed" if survivors else "caught"


def _forget_bytecode(source: Path) -> None:
    for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*"):
        compiled.unlink()


async def run_tests(folder: Path, tests: Sequence[str], patience: int = PATIENCE_SECONDS) -> tuple[int | None, str]:
    """Run ``tests`` in the tree at ``folder``; pytest's exit code (None: took too long) and what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GDA_", "PYTHONPATH"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # The tree's own modules must win over the installed ones, in children of the tests too.
    environment["PYTHONPATH"] = str(folder)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, *PYTEST, "--timeout", str(patience), *tests),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), patience)
    except TimeoutError:
        return None, ""
    finally:  # Whoever stops the trial stops its tests too.
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
    return child.returncode, output.decode(errors="replace")
