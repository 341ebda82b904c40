"""What a deliberate fault is, and how it is written into a copy of the tree."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``old``, which stands exactly once in ``file``, by ``new``."""

    file: str
    old: str
    new: str

    def problem(self, root: Path) -> str:
        """Why the edit does not fit the tree under ``root`` any more; empty when it does."""
        path = root / self.file
        count = path.read_text(encoding="utf-8").count(self.old) if path.exists() else 0
        return "" if count == 1 else f"{self.file}: the text to replace stands there {count} times, not once"

    def apply(self, root: Path) -> None:
        """Write the edit. Raises ValueError when it does not fit."""
        if problem := self.problem(root):
            raise ValueError(problem)
        path = root / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault somebody could write: what is wrong, which invariants it breaks, and the tests that must fail by it.

    ``invariants`` are those of the table in the mutants' README section: I1 no lost occurrence, I2 no duplicate effect,
    I3 at its time, I4 no stuck row, I5 fencing, I6 dead letters complete, I7 dead letters replayable, I8 tenants apart,
    I9 no secret shown, I10 bounded work, I11 progress beside poison, I12 ledger and Prefect agree.
    """

    name: str
    invariants: tuple[str, ...]
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    def problems(self, root: Path) -> list[str]:
        """What of the fault does not fit the tree under ``root``: texts that changed, tests that are gone."""
        found = [problem for edit in self.edits if (problem := edit.problem(root))]
        return found + [f"{test}: there is no such test" for test in self.tests if not _exists(root, test)]


def _exists(root: Path, test: str) -> bool:
    file, _, name = test.partition("::")
    path = root / file
    return path.exists() and f"def {name.partition('[')[0]}(" in path.read_text(encoding="utf-8")
