"""The end of a process whose event loop stands still, where no timeout of its own can end it any more."""

import faulthandler
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Let the process end, exit status 1, where the block takes longer; its stacks go to standard error first.

    The clock is a thread of the interpreter's own that needs no lock of Python's. A process has one such clock: of
    nested or simultaneous blocks the last that began counts.

    Args:
        seconds: longer than any timeout of the block's own.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
