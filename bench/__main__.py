"""``python -m bench [--users N] [--plain N]``: run the measurements, write ``bench/results/*.json``, print a table."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from bench.digests import Figures, measure

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the measurements and tell what they gave; exit code 1 when GDA was not at least 100 times plain Prefect."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--users", type=int, default=5000, help="users in the batch")
    parser.add_argument("--plain", type=int, default=24, help="flow runs of plain Prefect")
    asked = parser.parse_args()
    figures = asyncio.run(
        measure(users=asked.users, plain_runs=asked.plain, say=lambda text: print(text, file=sys.stderr))
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "digests.json").write_text(json.dumps(figures.as_json(), indent=2) + "\n")
    show(figures)
    return 0 if figures.ratio >= 100 else 1


def show(figures: Figures) -> None:
    """Print the table."""
    for name, value in figures.rows():
        print(f"{name:<58}{value:>16}")


if __name__ == "__main__":
    sys.exit(main())
