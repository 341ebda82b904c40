"""What every sub-command does around its work: read settings, open the store, and turn failures into one sentence."""

import os
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gda.errors import GdaError, SchemaOutOfDate, UsageError

if TYPE_CHECKING:
    from gda.settings import Settings
    from gda.store import Store

FAILED = 1
REFUSED = 2
INTERRUPTED = 130


def report_failure(error: BaseException) -> int:
    """Tell a person what went wrong, on standard error, and return the exit code.

    GDA's own errors and wrong command lines are one sentence each; anything else names its class, with its traceback
    where GDA_DEBUG=1.
    """
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return report_failure(error.exceptions[0])
    if os.environ.get("GDA_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, GdaError):
        complain(str(error))
        return REFUSED
    from cyclopts import CycloptsError

    if isinstance(error, CycloptsError):
        complain(" ".join(str(error).split()))
        return REFUSED
    complain(f"unexpected {type(error).__name__}: {error} (GDA_DEBUG=1 shows where)")
    return FAILED


def complain(sentence: str) -> None:
    """Write one sentence about what went wrong."""
    print(f"gda: {sentence}", file=sys.stderr)


def say(line: str) -> None:
    """Write one line of progress."""
    print(line, file=sys.stderr, flush=True)


def settings() -> "Settings":
    """The settings of this process. Raises UsageError."""
    from gda.settings import load_settings

    return load_settings()


def has_no_database(given: "Settings") -> bool:
    """Whether the default database's file does not exist; asked first, since opening would make its folder."""
    return given.database_url is None and not (given.home / "gda.db").exists()


@asynccontextmanager
async def store(given: "Settings | None" = None) -> AsyncIterator["Store"]:
    """The store of the settings. Raises SchemaOutOfDate with the command to run, and then creates nothing."""
    given = given or settings()
    if has_no_database(given):
        raise SchemaOutOfDate(f"there is no database in {given.home} yet: run `gda db upgrade`")
    from gda.store import open_store

    async with open_store(given) as opened:
        yield opened


def confirm(question: str, *, yes: bool) -> None:
    """Make sure that a person means it. Raises UsageError where nobody can be asked, or the answer is not yes."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} Nobody can be asked here: say --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed")
