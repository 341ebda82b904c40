"""Commands take a kind's earlier name, and `gda db upgrade` writes over what is stored under it."""

import json

import pytest

from gda.declare import job_type
from gda.registry import Registry
from gda.store import Wish
from tests.support.command import Gda, ledger, make_database

RENAMED = job_type(kind="stock-count", aliases=["inventory"])(lambda job: None)


@pytest.fixture
def gda(gda_home, monkeypatch, capsys) -> Gda:
    """A database with ada's schedule from when the kind was called ``inventory``."""

    async def before(store):
        await store.users.add("ada@example.org", timezone="UTC")
        await store.schedules.set(Wish("ada", "inventory", "daily 07:30"))

    make_database()
    ledger(before)
    registry = Registry()
    registry.register(RENAMED)
    monkeypatch.setattr("gda.cli.kinds.load_registry", lambda: registry)
    return Gda(capsys)


def schedules(gda: Gda) -> list[tuple[str, str, bool]]:
    found = json.loads(gda("schedule", "list", "--json").out)
    return [(one["kind"], one["expression"], one["enabled"]) for one in found]


def test_an_upgrade_says_which_kinds_are_called_otherwise_now(gda):
    said = gda("db", "upgrade").err
    again = gda("db", "upgrade").err

    assert said.startswith("kind inventory is called stock-count now")
    assert (again, schedules(gda)) == ("", [("stock-count", "daily 07:30", True)])


def test_an_edit_by_either_name_edits_the_one_schedule(gda):
    assert gda("schedule", "set", "ada", "stock-count", "daily 09:30").code == 0
    assert gda("schedule", "pause", "ada", "inventory").out == "stock-count default of ada is paused\n"
    assert schedules(gda) == [("stock-count", "daily 09:30", False)]


def test_a_look_changes_nothing(gda):
    assert gda("trigger", "inventory", "--user", "ada", "--dry-run").code == 2
    assert schedules(gda) == [("inventory", "daily 07:30", True)]
