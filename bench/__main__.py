"""``python -m bench [NAME]``: measure one of ``MEASUREMENTS``, write ``bench/results/*.json``, print a table.

Without a name the first three are run; the others take over five minutes each, so they are asked for by name. Exit
code 1 when a bound does not hold.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.prefect_database import CHOICES

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run what was asked for and tell what it gave."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("which", nargs="?", choices=list(MEASUREMENTS), help="only these measurements")
    parser.add_argument("--users", type=int, default=5000, help="digests: users in the batch")
    parser.add_argument("--plain", type=int, default=24, help="digests: flow runs of plain Prefect")
    parser.add_argument("--occurrences", type=int, default=2000, help="ledger: occurrences in one round")
    parser.add_argument("--settled", type=int, default=1_000_000, help="ledger: rows beside which an empty sweep runs")
    parser.add_argument("--jobs", type=int, default=10_000, help="queue: enqueued jobs of each kind")
    parser.add_argument("--crowd", type=int, default=100_000, help="scale: users in cohorts")
    parser.add_argument("--deployed", type=int, default=1000, help="scale: users with a deployment each")
    parser.add_argument(
        "--prefect-database",
        choices=CHOICES,
        help="scale: where Prefect keeps its data; PostgreSQL where it can be had, else SQLite in memory",
    )
    parser.add_argument("--due", type=int, default=10_000, help="burst: users due in one minute")
    parser.add_argument("--reminders", type=int, default=10_000, help="reminders: how many are due")
    parser.add_argument(
        "--beside",
        type=int,
        nargs="+",
        default=[10_000, 1_000_000],
        help="reminders: rows that are not due, each round",
    )
    asked = parser.parse_args()
    chosen = [asked.which] if asked.which else BY_DEFAULT
    return max(MEASUREMENTS[name](asked) for name in chosen)


def digests(asked: argparse.Namespace) -> int:
    """GDA against plain Prefect: at least 100 times as fast."""
    from bench.digests import measure

    figures = asyncio.run(measure(users=asked.users, plain_runs=asked.plain, say=say))
    keep("digests", figures.as_json(), figures.rows())
    return 0 if figures.ratio >= 100 else 1


def ledger(asked: argparse.Namespace) -> int:
    """The ledger against its own SQL sent raw, an empty sweep, and its CPU beside Prefect's."""
    from bench.ledger import measure

    figures = asyncio.run(measure(occurrences=asked.occurrences, settled=asked.settled, say=say))
    keep("ledger", figures.as_json(), figures.rows())
    for name, swept in figures.sweeps.items():
        print(f"query plans, {name}:", *swept.plans, sep="\n  ")
    for miss in figures.misses:
        print(f"MISSED: {miss}")
    return 1 if figures.misses else 0


def queue(asked: argparse.Namespace) -> int:
    """Enqueued jobs that do nothing, one and 200 to a task run: all done within three minutes."""
    from bench.queue import measure

    figures = asyncio.run(measure(jobs=asked.jobs, say=say))
    keep("queue", figures.as_json(), figures.rows())
    for miss in figures.misses:
        print(f"MISSED: {miss}")
    return 1 if figures.misses else 0


def scale(asked: argparse.Namespace) -> int:
    """Plan and apply for a hundred thousand users, and a thousand deployments against plain Prefect's loop."""
    from bench.scale import measure

    figures = asyncio.run(measure(users=asked.crowd, deployed=asked.deployed, database=asked.prefect_database, say=say))
    keep("scale", figures.as_json(), figures.rows())
    for miss in figures.misses:
        print(f"MISSED: {miss}")
    return 1 if figures.misses else 0


def burst(asked: argparse.Namespace) -> int:
    """Digests due at the same minute in one cohort, two worker processes: each once, at least 40 a second."""
    from bench.burst import measure

    figures = asyncio.run(measure(users=asked.due, say=say))
    keep("burst", figures.as_json(), figures.rows())
    for miss in figures.misses:
        print(f"MISSED: {miss}")
    return 1 if figures.misses else 0


def reminders(asked: argparse.Namespace) -> int:
    """Reminders without network: at least 1,000 a second, and idle scans beside a million rows within 20 ms."""
    from bench.reminders import measure

    figures = asyncio.run(measure(due=asked.reminders, beside=asked.beside, say=say))
    keep("reminders", figures.as_json(), figures.rows())
    for miss in figures.misses:
        print(f"MISSED: {miss}")
    return 1 if figures.misses else 0


def say(text: str) -> None:
    """Progress goes to stderr."""
    print(text, file=sys.stderr)


def keep(name: str, figures: dict[str, Any], rows: Sequence[tuple[str, str]]) -> None:
    """Write the figures, and print the table."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    for title, value in rows:
        print(f"{title:<58}{value:>16}")


BY_DEFAULT = ("digests", "ledger", "queue")
MEASUREMENTS = {
    "digests": digests,
    "ledger": ledger,
    "queue": queue,
    "scale": scale,
    "burst": burst,
    "reminders": reminders,
}


if __name__ == "__main__":
    sys.exit(main())
