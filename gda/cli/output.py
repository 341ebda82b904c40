"""How results are shown: a table on a terminal, aligned text in a pipe, JSON where asked."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

Row = Mapping[str, object]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
"""The option of every command that lists or shows."""
Flag = Annotated[bool, Parameter(negative="")]
"""A switch without a ``--no-`` twin."""
Count = Annotated[int, Parameter(name=("-n", "--count"))]
"""How many to show."""


def show_json(value: object) -> None:
    """Print a value as JSON; dataclasses become objects, instants ISO 8601 in UTC, durations seconds."""
    print(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def show_rows(rows: Sequence[Row], *, empty: str) -> None:
    """Print rows of one shape, column names from the first; ``empty`` goes to standard error where there is none."""
    if not rows:
        print(empty, file=sys.stderr)
    elif sys.stdout.isatty():
        _rich_table(rows)
    else:
        _aligned([list(rows[0]), *([text(value) for value in row.values()] for row in rows)])


def show_fields(fields: Row) -> None:
    """Print one thing, a field per line, leaving out empty ones."""
    filled = {name: shown for name, value in fields.items() if (shown := text(value))}
    width = max(map(len, filled), default=0)
    for name, value in filled.items():
        print(f"{name:<{width}}  {value}")


def text(value: object) -> str:
    """One value on one line, without control characters; instants to the second in UTC."""
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
    return str(value)


def _aligned(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _rich_table(rows: Sequence[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0], box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(text(value), style=_style(text(value))) for value in row.values()))
    Console().print(table)


def _style(shown: str) -> str:
    return _STYLES.get(shown, "")


_STYLES = {
    "done": "green",
    "active": "green",
    "create": "green",
    "running": "cyan",
    "update": "yellow",
    "retrying": "yellow",
    "held": "yellow",
    "paused": "yellow",
    "pause": "yellow",
    "skipped": "dim",
    "dead": "bold red",
    "delete": "red",
    "needs-consent": "red",
}
