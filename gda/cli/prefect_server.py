"""``python -m gda.cli.prefect_server``: ``prefect server start``, with garbage collected beside its event loop.

On SQLite a server that collects in its event loop stands still for a minute now and then, with all its writes:

1. A statement that SQLite refuses ("database is locked", which Prefect answers with 503 and its clients repeat) leaves
   a cursor behind that nobody closed; what frees it is the collector.
2. To free a cursor is to reset it, and that waits for its connection, which may itself be waiting for another one's
   transaction in a thread, for Prefect's 60 s of patience at most.
3. Where that happens in the thread of the event loop, nobody can end the transaction which all of them wait for.

Seen with Prefect 3.8.8, SQLAlchemy 2.0.58 and CPython 3.11 in the native stacks of a server that stood still: 200 user
deployments and six quick-runs every 20 s were enough for one such minute in about five. A thread of the collector's own
waits as well, but alone.
"""

import gc
import sys
import threading
import time
from itertools import count

COLLECT_SECONDS = 1.0
"""How often what is young is collected; until then it stays in memory."""
ALL_EVERY = 60
"""Each so many times everything is collected: half a second with the 280,000 objects of a server without work."""


def collect_beside() -> None:
    """Collect garbage in a thread, until the process ends, instead of wherever it happens to be noticed."""
    gc.disable()
    threading.Thread(target=_collect, name="collector", daemon=True).start()


def _collect() -> None:
    for turn in count(1):
        time.sleep(COLLECT_SECONDS)
        gc.collect(2 if turn % ALL_EVERY == 0 else 1)


def main() -> None:
    """Be ``prefect server start`` with this command's arguments."""
    from prefect.cli import app

    collect_beside()
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    app()


if __name__ == "__main__":
    main()
