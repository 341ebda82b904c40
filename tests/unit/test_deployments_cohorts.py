"""Layout ``cohort``: who shares a deployment, who gets the tick, and what a change of members costs."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from deployments.cohorts import cohort_deployments
from deployments.plan import Existing, Plan, plan
from deployments.spec import DeploymentSpec, KindSpec, ScheduleSpec
from gda.errors import UnknownKind
from gda.settings import Settings
from gda.store import Cohort

DIGEST = KindSpec("digest", "flows.digest.deliver_digests", "1", {"type": "object"}, kind="digest")
INVOICE = KindSpec("run-job", "flows.run_job.run_job", "1", {}, kind="invoice", generic=True, earlier=("bill",))
KINDS = {"digest": DIGEST, "invoice": INVOICE, "bill": INVOICE}
BERLIN = Cohort("digest", "30 7 * * *", "Europe/Berlin", 12)
TOKYO = Cohort("digest", "0 8 * * 1-5", "Asia/Tokyo", 3)


def specs(
    *cohorts: Cohort, there: Collection[str] = (), keep_empty: bool = False, **settings: int
) -> list[DeploymentSpec]:
    given = Settings.model_validate(settings)
    return cohort_deployments(cohorts, KINDS, given, there=there, keep_empty=keep_empty)


def planned(
    wanted: list[DeploymentSpec], existing: list[DeploymentSpec] | tuple[()] = (), *, keep_empty: bool = True
) -> Plan:
    return plan(wanted, [Existing(f"id of {one.title}", one, {}) for one in existing], keep_empty=keep_empty)


def test_a_cohort_is_one_deployment_that_names_time_and_zone_and_counts_nobody() -> None:
    [spec] = specs(BERLIN)
    assert spec.title == "digest/30 7 * * * Europe-Berlin"
    assert spec.parameters == {"expression": "30 7 * * *", "timezone": "Europe/Berlin"}
    assert spec.schedules == (ScheduleSpec("cohort", "30 7 * * *", "Europe/Berlin"),)
    assert spec.tags == ("cohort", "gda", "kind:digest")
    assert specs(replace(BERLIN, members=99)) == [spec]


def test_a_large_cohort_may_run_in_several_flow_runs_at_once() -> None:
    [spec] = specs(BERLIN, shard_runs=3)
    assert spec.concurrency_limit == 4


def test_a_kind_without_a_flow_of_its_own_tells_run_job_its_name() -> None:
    [spec] = specs(Cohort("invoice", "0 6 1 * *", "UTC", 1))
    assert spec.title == "run-job/invoice: 0 6 1 * * UTC"
    assert spec.parameters == {"kind": "invoice", "expression": "0 6 1 * *", "timezone": "UTC"}


def test_what_a_renamed_kind_left_apart_is_one_cohort() -> None:
    old, new = Cohort("bill", "0 6 1 * *", "UTC", 2), Cohort("invoice", "0 6 1 * *", "UTC", 1)
    assert [spec.title for spec in specs(old, new)] == ["run-job/invoice: 0 6 1 * * UTC"]


def test_past_the_most_cohorts_the_smaller_ones_share_a_tick() -> None:
    tiny = Cohort("digest", "0 9 * * *", "UTC", 1)
    large, tick = specs(tiny, BERLIN, max_cohorts=1)
    assert large.parameters["timezone"] == "Europe/Berlin"
    assert (tick.title, tick.parameters) == ("digest/tick", {})
    assert [(one.cron, one.timezone) for one in tick.schedules] == [("* * * * *", "UTC")]


def test_a_cohort_keeps_its_deployment_when_another_outgrows_it() -> None:
    [first] = specs(TOKYO, max_cohorts=1)
    kept, tick = specs(TOKYO, BERLIN, max_cohorts=1, there=[first.title])
    assert kept == first
    assert tick.name == "tick"


@pytest.mark.parametrize("expression", ["every 7 minutes", "once 2030-12-24T18:00", "no longer valid"])
def test_what_cron_cannot_say_is_left_to_the_drain(expression: str) -> None:
    assert specs(Cohort("digest", expression, "UTC", 5)) == []


def test_a_kind_that_no_flow_serves_is_named() -> None:
    with pytest.raises(UnknownKind, match="'sorcery'"):
        specs(Cohort("sorcery", "0 9 * * *", "UTC", 1))


def test_a_user_who_changes_the_time_costs_one_call_by_day_and_the_empty_cohort_goes_at_night() -> None:
    before = specs(BERLIN, Cohort("digest", "0 8 * * *", "Europe/Berlin", 1))
    moved = specs(BERLIN, Cohort("digest", "15 8 * * *", "Europe/Berlin", 1), there=[one.title for one in before])
    by_day, at_night = planned(moved, before), planned(moved, before, keep_empty=False)
    assert (by_day.changes, len(by_day.create), len(by_day.empty)) == (1, 1, 1)
    assert [one.spec.name for one in at_night.delete] == ["0 8 * * * Europe-Berlin"]


def test_the_place_of_a_cohort_that_becomes_empty_by_day_goes_to_another_one_at_night() -> None:
    lonely, waiting = (Cohort("digest", f"{minute} 9 * * *", "UTC", 1) for minute in (0, 5))
    before = specs(BERLIN, lonely, waiting, max_cohorts=2)
    titles = [one.title for one in before]
    larger = replace(BERLIN, members=BERLIN.members + 1)
    by_day = planned(specs(larger, waiting, max_cohorts=2, there=titles, keep_empty=True), before)
    at_night = planned(specs(larger, waiting, max_cohorts=2, there=titles), before, keep_empty=False)
    assert (titles[2], by_day.changes, [one.spec.name for one in by_day.empty]) == ("digest/tick", 0, ["0 9 * * * UTC"])
    assert [one.name for one in at_night.create] == ["5 9 * * * UTC"]
    assert [one.spec.name for one in at_night.delete] == ["0 9 * * * UTC", "tick"]


def test_a_user_who_joins_a_cohort_or_leaves_one_costs_no_call() -> None:
    before = specs(BERLIN, TOKYO)
    after = specs(Cohort("digest", "30 7 * * *", "Europe/Berlin", 13), Cohort("digest", "0 8 * * 1-5", "Asia/Tokyo", 2))
    assert planned(after, before).changes == 0


def test_a_change_of_layout_deletes_the_deployments_of_the_other() -> None:
    of_ada = DeploymentSpec("digest", "ada", "flows.digest.deliver_digests", tags=("gda", "kind:digest", "user:ada"))
    cohort = specs(BERLIN)
    assert [one.spec.name for one in planned(cohort, [of_ada]).delete] == ["ada"]
    assert [one.spec.name for one in planned([of_ada], cohort, keep_empty=False).delete] == [cohort[0].name]
