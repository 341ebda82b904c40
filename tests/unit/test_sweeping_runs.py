"""Which Prefect runs the sweep closes: pure decisions."""

from datetime import timedelta
from typing import Any

from gda.glue.sweeping import SeenRun, late, stuck
from tests.builders import MORNING

GRACE = timedelta(seconds=120)


def a_run(identity: str, state: str, *, minutes: float, tags: tuple[str, ...] = (), **more: Any) -> SeenRun:
    since = MORNING - timedelta(minutes=minutes)
    return SeenRun(identity, state, since, frozenset({"gda", *tags}), more.get("auto_scheduled", True))


def test_a_run_without_sign_of_life_for_five_minutes_is_stuck_but_not_an_active_one_nor_our_own() -> None:
    runs = [a_run(name, "Running", minutes=5) for name in ("dead", "active", "own")]
    runs.append(a_run("young", "Running", minutes=4.9))
    assert stuck(runs, active={"active"}, own="own", now=MORNING) == ["dead"]


def test_a_late_run_of_a_schedule_is_cancelled_but_not_a_drain_nor_what_a_person_asked_for() -> None:
    runs = [
        a_run("user", "Late", minutes=2),
        a_run("young", "Late", minutes=1.9),
        a_run("drain", "Late", minutes=9, tags=("system",)),
        a_run("hand", "Late", minutes=9, tags=("by-hand",)),
        a_run("quick", "Late", minutes=9, auto_scheduled=False),
    ]
    assert late(runs, grace=GRACE, now=MORNING) == ["user"]
