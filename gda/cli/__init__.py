"""The ``gda`` command: the composition root, which may use every package; nothing imports it.

Sub-commands live in modules of their own that are imported when they run, so that ``gda --help`` is instant.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

# Name, where it lives (an App or a function), one line of help.
COMMANDS = (
    ("demo", "gda.cli.demo:demo", "Show it all working on this machine: sandbox, Prefect, sample users, real digests."),
    ("up", "gda.cli.up:up", "Run GDA on this machine with your own settings: migrate, server, apply, worker."),
    ("sandbox", "gda.cli.sandbox:sandbox", "Run a stand-in for Google with mailboxes and a mail sink, on loopback."),
    ("connect", "gda.cli.connect:connect", "Let a person grant access to their Google account."),
    ("tokens", "gda.cli.tokens:app", "Seal everybody's tokens under a new key."),
    ("db", "gda.cli.db:app", "Bring the database's schema up or down."),
    ("user", "gda.cli.user:app", "Add, list, change and remove people."),
    ("schedule", "gda.cli.schedule:app", "Say who gets what when; preview what clock changes do."),
    ("todo", "gda.cli.todo:app", "Write to-dos down, list them, tick them off."),
    ("reminder", "gda.cli.reminder:app", "Be told of a to-do in time."),
    ("notifications", "gda.cli.notifications:app", "See what people were told; say how they want to be told."),
    ("plan", "gda.cli.deploy:plan", "Show what `gda apply` would change in Prefect."),
    ("apply", "gda.cli.deploy:apply", "Bring Prefect's deployments in line with the schedules."),
    ("trigger", "gda.cli.trigger:trigger", "Ask for one user's occurrence by hand."),
    ("enqueue", "gda.cli.enqueue:enqueue", "Ask for work without a schedule."),
    ("occurrences", "gda.cli.occurrences:app", "See what was due, and what became of it."),
    ("dead-letters", "gda.cli.dead_letters:app", "See what gave up; replay or discard it."),
    ("stats", "gda.cli.stats:stats", "Show per kind what became of it, how long it took and how late it began."),
    ("health", "gda.cli.health:health", "Say whether the database answers and work is being done."),
)
HELP = "Per-user scheduled background work on Prefect: every digest once, on time, in the user's timezone."
EXIT_CODES = (
    "Exit codes: 0 done; 1 something failed; 2 bad input, or something needed is not there: one sentence says what to "
    "do, and nothing was written; 130 Ctrl-C; 143 SIGTERM. `gda plan --detailed-exitcode`: 0 no change, 1 error, "
    "2 changes.\n\n"
    "Results go to standard output, progress to standard error; --json gives results as JSON. GDA_DEBUG=1 shows "
    "tracebacks."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: words after ``gda``; None: those this process was started with.

    Returns:
        The exit code, as ``EXIT_CODES`` says.
    """
    from gda.cli.run import report_failure

    try:
        result = build_app()(
            sys.argv[1:] if arguments is None else list(arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        # Whoever read our output (`head`) has enough; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:  # The one place where a person meets what went wrong.
        return report_failure(error)


def build_app() -> "App":
    """The command tree; no sub-command is imported yet."""
    from cyclopts import App

    app = App(
        name="gda",
        help=HELP,
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        version=_version,
        suppress_keyboard_interrupt=False,
    )
    for name, place, help_text in COMMANDS:
        app.command(place, name=name, help=help_text)
    return app


def _version() -> str:
    from importlib.metadata import version

    return version("prefect-gda")
