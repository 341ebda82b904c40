"""``python -m blocks``: register GDA's block types and save its documents from the environment's settings."""

import asyncio
import sys

from blocks import register_all
from gda.errors import GdaError
from gda.settings import load_settings


def main() -> int:
    """Save the blocks and say which; the exit code is 0, or 2 with one sentence on stderr."""
    try:
        for saved in asyncio.run(register_all(load_settings())):
            print(f"saved block {saved}")
    except GdaError as error:
        print(f"blocks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
