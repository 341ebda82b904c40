"""Why GDA's Prefect server collects its garbage in a thread, played with SQLite alone.

One thread waits for the write lock which the main thread holds; meanwhile the collector finds a cursor of the waiting
connection. Where it does so in the main thread, the lock is not given back before the waiting one has lost patience.
"""

import subprocess
import sys
from pathlib import Path

import pytest

STORY = """
import gc, sqlite3, sys, threading
from gda.cli.prefect_server import collect_beside

PATIENCE = 10
in_main_thread = sys.argv[2] == "in the main thread"
gc.disable()  # What is left behind shall be young when the collector looks: what is old it looks at seldom.
if not in_main_thread:
    collect_beside()
waiting, waited, noticed = threading.Event(), threading.Event(), threading.Event()

def connection():
    return sqlite3.connect(sys.argv[1], timeout=PATIENCE, isolation_level=None, check_same_thread=False)

def wait_for_the_lock():
    try:
        patient.execute("BEGIN IMMEDIATE")
        print("got the lock")
    except sqlite3.OperationalError as error:
        print(error)
    waited.set()

def unclosed():
    cursor = patient.execute("SELECT 1 UNION SELECT 2")
    cursor.fetchone()
    circle = [cursor]
    circle.append(circle)
    return circle

owner, patient = connection(), connection()
owner.execute("BEGIN IMMEDIATE")
left_behind = unclosed()
patient.set_trace_callback(lambda statement: waiting.set())
threading.Thread(target=wait_for_the_lock).start()
waiting.wait()
del left_behind
if in_main_thread:
    gc.enable()
gc.callbacks.append(lambda phase, info: noticed.set())
for _ in range(100_000):
    circle = []
    circle.append(circle)
noticed.wait()
owner.execute("ROLLBACK")
waited.wait()
"""


def told(folder: Path, collector: str) -> str:
    """How it ended for the connection that waits."""
    command = [sys.executable, "-c", STORY, str(folder / "story.db"), collector]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout.strip()


def test_a_collector_beside_the_main_thread_lets_it_end_the_transaction_that_others_wait_for(tmp_path: Path) -> None:
    assert told(tmp_path, "beside") == "got the lock"


@pytest.mark.slow
def test_a_collector_in_the_main_thread_stops_it_until_whoever_waits_has_lost_patience(tmp_path: Path) -> None:
    # Should this fail one day, the reason for gda.cli.prefect_server is gone.
    assert told(tmp_path, "in the main thread") == "database is locked"
