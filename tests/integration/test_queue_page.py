"""docs/queue.md does what it says: its Python blocks, run one after another."""

import re
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from gda.registry import Registry
from gda.settings import Settings
from gda.store import Scope, Waker
from tests.builders import MORNING, VirtualClock, a_store

PAGE = Path(__file__).parents[2] / "docs" / "queue.md"


@pytest.fixture
def page(monkeypatch) -> dict[str, Any]:
    """The names that the page's blocks define."""
    registry, names = Registry(), {"__name__": "page", "asked": []}

    async def ensure_drain(kind, queue):
        names["asked"].append((kind, queue))

    monkeypatch.setattr("gda.registry.load_registry", lambda: registry)
    monkeypatch.setattr("gda.glue.drains.ensure_drain", ensure_drain)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    registry.register(names["remind"])
    return names


async def test_its_jobs_are_enqueued_at_once_and_asked_for(page, tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await page["remind_of"](store, Settings(), [1, 2, 3])
        twice = [await page["remind_tomorrow"](store, Settings(), 7) for _ in range(2)]
        rows = await store.history.list()

    assert sorted(row.payload["number"] for row in rows) == [1, 2, 3, 7]
    assert (len(set(twice)), page["asked"]) == (1, [("invoice-reminder", "bulk")])


async def test_its_operator_schedules_are_stored_and_promised(page, tmp_path):
    clock = VirtualClock(MORNING)
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=clock) as store:
        await page["plan_reminders"](store)
        await page["plan_reminders"](store)
        stored = await store.schedules.all()
        clock.advance(minutes=1)
        await store.ledger.promise(Scope("invoice-reminder", operator=True), Waker("schedule"))
        rows = await store.history.list()

    assert {one.name: one.expression for one in stored} == {
        "month-end": "monthly last 09:00",
        "often": "every 30 seconds",
        "weekly": "weekly mon 09:00",
        "eve": "once 2026-12-24T18:00",
    }
    assert {row.payload["number"] for row in rows if row.payload} == {2}


def test_its_form_has_the_model_s_fields(page):
    form = parameter_schema(page["remind_now"]).model_dump(mode="json")
    fields = form["definitions"]["Invoice"]["properties"]
    assert (fields["number"]["exclusiveMinimum"], fields["copies"]["maximum"]) == (0, 3)
    assert fields["number"]["description"] == "As printed on it."
