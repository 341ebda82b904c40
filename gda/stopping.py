"""Stopping when asked to: a signal cancels the work at its next await, instead of raising wherever the process is.

What a signal handler raises comes up between any two instructions: in a callback of the event loop, where it is printed
and lost, or inside somebody else's transaction. Ten SIGTERMs against batches of 500 lost one that way.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def stopped_by(number: signal.Signals, then: Callable[[], BaseException]) -> AsyncIterator[None]:
    """Within the block, the first signal cancels the current task, which cleans up; the block then raises ``then()``.

    Further signals of the kind are ignored until the block ends, so that the clean-up can end too. In a thread that
    is not the main one nothing changes, for only that one hears signals.

    Args:
        number: usually SIGTERM.
        then: makes what is raised once the block has been left.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task, heard = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task is not None

    def stop() -> None:
        if not heard.is_set():
            heard.set()
            task.cancel()

    before = signal.getsignal(number)
    loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if heard.is_set():
            raise then() from None
        raise
    finally:
        loop.remove_signal_handler(number)
        signal.signal(number, before)
