"""What a plan reads: in layout ``cohort`` none of the users' schedules, however many there are."""

from typing import Any

from sqlalchemy import event

from deployments.planning import people_deployments
from gda.settings import Settings
from gda.store import Store, Wish
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest


async def households(store: Store) -> None:
    """Three users with a digest each, and a schedule of the operator's own."""
    for name in ("ada", "bruno", "dina"):
        await a_user_with_digest(store, name, expression="daily 07:30")
    await store.schedules.set(Wish(None, "digest", "daily 06:00", "UTC", name="own"))


async def test_the_operator_s_own_schedules_can_be_read_alone(database_url: str) -> None:
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await households(store)
        own = await store.schedules.all(operator=True)
        everybody = await store.schedules.all()

    assert [(one.user_id, one.name) for one in own] == [(None, "own")]
    assert len(everybody) == 4


async def test_a_plan_of_cohorts_counts_users_where_they_are_stored(database_url: str) -> None:
    async with a_store(database_url, clock=VirtualClock(MORNING)) as store:
        await households(store)
        asked: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            asked.append(statement)

        event.listen(store.database.engine.sync_engine, "before_cursor_execute", note)
        specs = await people_deployments(store, Settings(layout="cohort"))

    reads = [statement for statement in asked if "FROM gda_schedules" in statement]
    assert sorted(one.title for one in specs) == ["digest/daily 07:30 Europe-London", "run-job/operator digest"]
    assert all("user_id IS NULL" in one or "GROUP BY" in one for one in reads), reads
