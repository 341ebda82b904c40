"""The state folder, held by one running command at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gda.errors import Unavailable


@contextmanager
def held(home: Path, what: str) -> Iterator[None]:
    """Make the state folder and hold ``what`` in it until the block ends, however this process ends.

    Raises:
        Unavailable: another process holds it, or the folder cannot be used.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(home / f"{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"the state folder {home} cannot be used: {error.strerror}; set GDA_HOME") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unavailable(
                f"another `gda {what}` runs in {home.resolve()}: end it, or set GDA_HOME to another folder"
            ) from None
        yield
    finally:
        os.close(lock)
