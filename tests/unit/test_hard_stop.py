"""What ends a process whose event loop stands still."""

import subprocess
import sys

import pytest

HANGING = """
import asyncio, time
from gda.glue.hard_stop import ended_after

async def stands_still():
    with ended_after({seconds}):
        time.sleep({asleep})
    print("went on")

asyncio.run(asyncio.wait_for(stands_still(), timeout=0.1))
"""


@pytest.mark.parametrize(("seconds", "asleep", "code"), [(0.2, 60, 1), (60, 0.01, 0)])
def test_a_process_that_stands_still_ends_and_tells_where_it_stood(seconds: float, asleep: float, code: int) -> None:
    program = HANGING.format(seconds=seconds, asleep=asleep)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    told = ("Timeout" in ended.stderr, "stands_still" in ended.stderr, "went on" in ended.stdout)
    assert (ended.returncode, told) == (code, (True, True, False) if code else (False, False, True))


def test_its_clock_stops_with_the_block_even_where_that_fails() -> None:
    program = """
import time
from contextlib import suppress
from gda.glue.hard_stop import ended_after

with suppress(ValueError), ended_after(0.2):
    raise ValueError
time.sleep(0.6)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=50, check=False).returncode == 0
