"""Which Prefect runs the sweep closes, and what it takes for a person's command: pure decisions."""

from datetime import timedelta
from typing import Any

import pytest

from deployments.plan import PAUSED_TAG
from deployments.spec import COHORT_TAG, KIND_TAG, OWN_TAG, USER_TAG
from gda.glue.sweeping import SeenRun, last_begun, late, stuck
from gda.glue.switches import Switchboard, is_paused, owner_of, read_switchboard
from gda.store import Watched
from tests.builders import MORNING

GRACE = timedelta(seconds=120)
TAGS = [OWN_TAG, f"{USER_TAG}ada", f"{KIND_TAG}digest"]


def a_run(identity: str, state: str, *, minutes: float, tags: tuple[str, ...] = (), **more: Any) -> SeenRun:
    since = MORNING - timedelta(minutes=minutes)
    auto, deployment = more.get("auto_scheduled", True), more.get("deployment", identity)
    began = MORNING - timedelta(minutes=more["began"]) if "began" in more else None
    return SeenRun(identity, state, since, frozenset({"gda", *tags}), auto, deployment, began)


def a_deployment(*switched_off: str, paused: bool = False, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    schedules = [{"slug": slug, "active": slug not in switched_off} for slug in ("default", "evening")]
    return {
        "tags": [*TAGS, *tags],
        "parameters": {},
        "paused": paused,
        "schedules": [*schedules, {"slug": None, "active": False}],
    }


def paused(deployment: dict[str, Any], name: str = "default") -> bool:
    return is_paused(Watched("s1", "ada", "digest", name, False), read_switchboard([deployment]))


def test_a_run_without_sign_of_life_for_five_minutes_is_stuck_but_not_an_active_one_nor_our_own() -> None:
    runs = [a_run(name, "Running", minutes=5) for name in ("dead", "active", "own")]
    runs += [a_run("begun", "Pending", minutes=6), a_run("young", "Running", minutes=4.9)]
    assert [run.id for run in stuck(runs, active={"active"}, own="own", now=MORNING)] == ["dead", "begun"]


def test_a_late_run_of_a_schedule_is_cancelled_but_not_a_drain_nor_what_a_person_asked_for() -> None:
    runs = [
        a_run("user", "Late", minutes=2),
        a_run("young", "Late", minutes=1.9),
        a_run("drain", "Late", minutes=9, tags=("drain",)),
        a_run("hand", "Late", minutes=9, tags=("by-hand",)),
        a_run("quick", "Late", minutes=9, auto_scheduled=False),
    ]
    runs += [a_run("unmarked", "Scheduled", minutes=2), a_run("behind", "AwaitingConcurrencySlot", minutes=9)]
    assert late(runs, grace=GRACE, now=MORNING) == ["user", "unmarked", "behind"]


def waiting_sweeps(*minutes: float) -> list[SeenRun]:
    return [a_run(f"sweep {n}", "Late", minutes=n, tags=("system",), deployment="sweep") for n in minutes]


def test_of_a_system_jobs_runs_that_wait_the_newest_stays_however_late() -> None:
    retention = a_run("retention", "Late", minutes=90, tags=("system",))
    waiting = [*waiting_sweeps(1.5, 0.5, 9), retention]
    assert late(waiting, grace=GRACE, now=MORNING) == ["sweep 1.5", "sweep 9"]


def test_no_run_of_a_system_job_stays_where_one_began_after_it_was_due() -> None:
    retention = a_run("retention", "Late", minutes=90, tags=("system",))
    running = [a_run("now", "Running", minutes=1, began=1, deployment="sweep")]
    begun = last_begun(running, lost=())
    cancelled = late([*waiting_sweeps(9, 1), retention], begun=begun, grace=GRACE, now=MORNING)
    young = late(waiting_sweeps(1, 0.5), begun=begun, grace=GRACE, now=MORNING)
    assert (cancelled, young) == (["sweep 9", "sweep 1"], ["sweep 1"])


def test_what_a_person_asked_for_keeps_no_schedules_run_from_beginning() -> None:
    by_hand = a_run("by hand", "Late", minutes=0.1, tags=("system",), deployment="sweep", auto_scheduled=False)
    assert late([*waiting_sweeps(5, 1), by_hand], grace=GRACE, now=MORNING) == ["sweep 5"]


def test_what_was_lost_or_asked_for_by_a_person_does_not_stand_for_a_schedules_run() -> None:
    """A person may have asked for one user's work alone."""
    runs = [
        a_run("lost", "Running", minutes=1, began=1, deployment="sweep"),
        a_run("quick", "Completed", minutes=1, began=1, deployment="sweep", auto_scheduled=False),
        a_run("not begun", "Running", minutes=1, deployment="sweep"),
        *(a_run(f"{n}", "Completed", minutes=n, began=n, deployment="sweep") for n in (5, 4, 6)),
    ]
    assert last_begun(runs, lost={"lost"}) == {"sweep": MORNING - timedelta(minutes=4)}


def test_a_schedule_switched_off_in_prefect_is_paused_and_its_neighbour_is_not() -> None:
    assert paused(a_deployment("default"))
    assert not paused(a_deployment("evening"))
    assert paused(a_deployment(paused=True))


def test_what_apply_switched_off_itself_is_no_command_of_a_person() -> None:
    assert not paused(a_deployment("default", tags=(f"{PAUSED_TAG}default",)))


def test_what_has_no_deployment_or_no_prefect_schedule_of_its_own_is_not_paused() -> None:
    assert not is_paused(Watched("s1", "ada", "digest", "default", True), Switchboard())
    assert not paused(a_deployment(), "once")


def a_cohort(*, active: bool = True, paused: bool = False, **parameters: str) -> dict[str, Any]:
    """The deployment of everybody with a digest at a time, or the tick."""
    tags = [OWN_TAG, COHORT_TAG, f"{KIND_TAG}digest"]
    return {"tags": tags, "parameters": parameters, "paused": paused, "schedules": [{"slug": "c", "active": active}]}


EARLY = {"expression": "daily 07:30", "timezone": "UTC"}


@pytest.mark.parametrize("off", [{"active": False}, {"paused": True}])
def test_who_is_served_by_a_cohort_is_paused_with_it_and_nobody_else(off: dict[str, bool]) -> None:
    board = read_switchboard([a_cohort(**off, **EARLY), a_cohort(expression="daily 08:00", timezone="UTC")])
    times = ("daily 07:30", "daily 08:00", "daily 09:00")
    ada = [Watched("s1", "ada", "digest", "default", False, time, "UTC") for time in times]
    assert [is_paused(one, board) for one in ada] == [True, False, False]


def test_who_has_no_cohort_of_its_own_is_paused_with_the_tick() -> None:
    board = read_switchboard([a_cohort(**EARLY), a_cohort(active=False)])
    ada, bea = [Watched(f"s{n}", "ada", "digest", "default", False, f"daily 0{n}:30", "UTC") for n in (7, 8)]
    assert [is_paused(one, board) for one in (ada, bea)] == [False, True]


def test_a_deployment_of_ones_own_counts_before_a_cohorts() -> None:
    board = read_switchboard([a_cohort(active=False, **EARLY), a_deployment()])
    assert not is_paused(Watched("s1", "ada", "digest", "default", False, "daily 07:30", "UTC"), board)


def test_a_drain_belongs_to_nobody() -> None:
    assert owner_of(TAGS) == ("ada", "digest")
    assert owner_of(["gda", "kind:digest", "system"]) is None
