"""``python -m tests.outage``: Prefect and all workers die and come back an hour late; exit 1 where that did harm."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

MOST_SECONDS = 1500
"""The whole thing ends after this, beside the time that is really lived."""


def main() -> int:
    """Let the outage happen and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.outage", description=__doc__)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--minutes", type=int, default=60, help="how long all is away, in whole hours")
    parser.add_argument("--free", type=int, default=0, help="places beside one lost run; 0: none is free")
    parser.add_argument("--lived", action="store_true", help="really wait, instead of setting the databases back")
    parser.add_argument(
        "--keep", type=Path, help="an empty folder for databases and logs; a temporary one when left out"
    )
    asked = parser.parse_args()
    if asked.minutes < 60 or asked.minutes % 60:
        parser.error(f"--minutes {asked.minutes}: each schedule must come due meanwhile, once an hour; say 60 or 120")
    with tempfile.TemporaryDirectory(prefix="gda-outage-", ignore_cleanup_errors=True) as text:
        folder = Path(text)
        _forget_own_settings(folder / "client")
        kept = asked.keep or folder / "place"
        kept.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_bounded(asked, kept))


async def _bounded(asked: argparse.Namespace, folder: Path) -> int:
    """Live through it and print what was seen; 1 where something was wrong."""
    from gda.cli.processes import stopping_on_sigterm
    from tests.outage.outage import live

    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {line}", flush=True)

    away = timedelta(minutes=asked.minutes)
    most = MOST_SECONDS + (away.total_seconds() if asked.lived else 0)
    # Whoever stops this before its end must not leave a server and workers behind.
    with stopping_on_sigterm():
        async with asyncio.timeout(most):
            judged = await live(folder, asked.users, away=away, lived=asked.lived, free=asked.free, say=say)
    for name, value in judged.figures.items():
        say(f"{name}: {value}")
    for sentence in judged.wrong:
        say(f"WRONG: {sentence}")
    return int(bool(judged.wrong))


def _forget_own_settings(home: Path) -> None:
    """The developer's own GDA and Prefect have no part in this; Prefect reads its profile while it is imported."""
    for name in [name for name in os.environ if name.startswith(("GDA_", "PREFECT_"))]:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"


if __name__ == "__main__":
    sys.exit(main())
