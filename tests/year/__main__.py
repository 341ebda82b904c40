"""``python -m tests.year``: 1,000 users for a year, half of them in each of two processes; exit 1 when it is wrong."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.year.year import Amount, lived

SHOWN = 40


def main() -> int:
    """Simulate what was asked for and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.year", description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", type=int, default=2, help="processes")
    asked = parser.parse_args()
    begun = time.monotonic()
    amounts = [
        Amount(users=asked.users, days=asked.days, seed=asked.seed, part=part, parts=asked.parts)
        for part in range(asked.parts)
    ]
    with ProcessPoolExecutor(asked.parts, mp_context=get_context("spawn")) as pool:
        judged = list(pool.map(lived, amounts))
    for part, one in enumerate(judged):
        print(f"part {part} of seed {asked.seed}: log {one.log[:16]}, {len(one.wrong)} wrong")
        print("\n".join(f"  {problem}" for problem in one.wrong[:SHOWN]))
    figures = sum((one.figures for one in judged), start=judged[0].figures.__class__())
    print("\n".join(f"{number:>9,} {name}" for name, number in sorted(figures.items())))
    print(f"{time.monotonic() - begun:.0f} s in all")
    return int(any(one.wrong for one in judged))


if __name__ == "__main__":
    sys.exit(main())
