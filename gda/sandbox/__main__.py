"""``python -m gda.sandbox``: run a sandbox until stopped."""

import argparse
import asyncio
import sys
from pathlib import Path

from gda.errors import Unavailable, UsageError
from gda.sandbox.server import SandboxOptions, serve

USAGE_EXIT_CODE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a sandbox; return the exit code: 0 when stopped, 2 for bad input, 1 when a port or folder cannot be used."""
    given = _parser().parse_args(arguments)
    options = SandboxOptions(
        http_port=given.http_port,
        smtp_port=given.smtp_port,
        accounts=[_account(text) for text in given.account],
        data=given.data,
    )
    try:
        asyncio.run(serve(options))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_EXIT_CODE
    except Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gda.sandbox", description=__doc__)
    parser.add_argument("--http-port", type=int, default=0, help="port of the HTTP server; 0: a free one")
    parser.add_argument("--smtp-port", type=int, default=0, help="port of the mail sink; 0: a free one")
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="EMAIL[=PATH]",
        help="open an account with what a folder of .eml and .ics files, a Maildir, an mbox or an .ics file holds; "
        "may be repeated",
    )
    parser.add_argument("--data", type=Path, help="folder in which accounts and mail outlive a restart")
    return parser


def _account(text: str) -> tuple[str, str | None]:
    email, equals, path = text.partition("=")
    return email, path if equals else None


if __name__ == "__main__":
    sys.exit(main())
