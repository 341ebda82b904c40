"""Runs the ``gda`` command inside the test's process, and makes the database it works on."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gda.cli import main
from gda.settings import load_settings
from gda.store import Store, open_database, open_store, upgrade


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The sentence of a refusal: it is the only line, on standard error, with exit code 2."""
        assert (self.code, self.out) == (2, ""), self
        (line,) = self.err.splitlines()
        return line.removeprefix("gda: ")


class Gda:
    """The command; call it with its words."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Answer:
        self._capsys.readouterr()
        code = main(words)
        return Answer(code, *self._capsys.readouterr())


def ledger(work: Callable[[Store], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with the test's database."""

    async def run() -> Any:
        async with open_store(load_settings()) as store:
            return await work(store)

    return asyncio.run(run())


def make_database() -> None:
    """Make the default database of the test's GDA_HOME, with today's schema."""

    async def run() -> None:
        home: Path = load_settings().home
        home.mkdir(parents=True, exist_ok=True)
        database = open_database(load_settings().database)
        await upgrade(database)
        await database.close()

    asyncio.run(run())
