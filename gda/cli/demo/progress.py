"""How the demo shows what it is doing: a live table on a terminal, plain lines elsewhere, on standard error."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from gda.cli.demo.people import Person
from gda.cli.run import say

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

WAITING = "waiting"


class Progress:
    """Shows where each person's digest stands; lines said in between stay above a live table."""

    def __init__(self, crowd: Sequence[Person]) -> None:
        self._crowd = crowd
        self._shown: dict[str, str] = {}
        self._live: Live | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = self._stack.enter_context(Live(self._table({}), console=Console(stderr=True)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, states: Mapping[str, str]) -> None:
        """Show the states by user id; people without one are waiting."""
        if self._live is not None:
            self._live.update(self._table(states))
            return
        for person in self._crowd:
            state = states.get(person.id, WAITING)
            if self._shown.get(person.id, WAITING) != state:
                say(f"{person.id}: {state}")
                self._shown[person.id] = state

    def _table(self, states: Mapping[str, str]) -> "Table":
        from rich import box
        from rich.table import Table

        table = Table("user", "timezone", "schedule", "digest", box=box.SIMPLE_HEAD, pad_edge=False)
        for person in self._crowd:
            state = states.get(person.id, WAITING)
            style = "green" if state.startswith("done") else "red" if state.startswith(("dead", "failed")) else "dim"
            table.add_row(person.id, person.timezone, person.expression, f"[{style}]{state}[/]")
        return table
