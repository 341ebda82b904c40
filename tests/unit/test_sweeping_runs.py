"""Which Prefect runs the sweep closes, and what it takes for a person's command: pure decisions."""

from datetime import timedelta
from typing import Any

from deployments.plan import PAUSED_TAG
from deployments.spec import KIND_TAG, OWN_TAG, USER_TAG
from gda.glue.commands import is_paused, owner_of, read_standing
from gda.glue.sweeping import SeenRun, late, stuck
from gda.store import Watched
from tests.builders import MORNING

GRACE = timedelta(seconds=120)
TAGS = [OWN_TAG, f"{USER_TAG}ada", f"{KIND_TAG}digest"]


def a_run(identity: str, state: str, *, minutes: float, tags: tuple[str, ...] = (), **more: Any) -> SeenRun:
    since = MORNING - timedelta(minutes=minutes)
    auto, deployment = more.get("auto_scheduled", True), more.get("deployment", identity)
    return SeenRun(identity, state, since, frozenset({"gda", *tags}), auto, deployment)


def a_deployment(*switched_off: str, paused: bool = False, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    schedules = [{"slug": slug, "active": slug not in switched_off} for slug in ("default", "evening")]
    return {"tags": [*TAGS, *tags], "paused": paused, "schedules": [*schedules, {"slug": None, "active": False}]}


def paused(deployment: dict[str, Any], name: str = "default") -> bool:
    standing = read_standing(deployment)
    assert standing
    return is_paused(Watched("s1", "ada", "digest", name, False), dict([standing]))


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
    assert late(runs, grace=GRACE, now=MORNING) == ["user"]


def test_of_the_late_runs_of_a_system_job_the_newest_stays_however_late() -> None:
    sweeps = [a_run(f"sweep {n}", "Late", minutes=n, tags=("system",), deployment="sweep") for n in (9, 3, 5)]
    retention = a_run("retention", "Late", minutes=90, tags=("system",))
    assert late([*sweeps, retention], grace=GRACE, now=MORNING) == ["sweep 9", "sweep 5"]


def test_a_schedule_switched_off_in_prefect_is_paused_and_its_neighbour_is_not() -> None:
    assert paused(a_deployment("default"))
    assert not paused(a_deployment("evening"))
    assert paused(a_deployment(paused=True))


def test_what_apply_switched_off_itself_is_no_command_of_a_person() -> None:
    assert not paused(a_deployment("default", tags=(f"{PAUSED_TAG}default",)))


def test_what_has_no_deployment_or_no_prefect_schedule_of_its_own_is_not_paused() -> None:
    assert not is_paused(Watched("s1", "ada", "digest", "default", True), {})
    assert not paused(a_deployment(), "once")


def test_a_drain_belongs_to_nobody() -> None:
    assert owner_of(TAGS) == ("ada", "digest")
    assert owner_of(["gda", "kind:digest", "system"]) is None
