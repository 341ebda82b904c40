"""Which deployments schedules become: one per user and kind, in layout ``user``."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.spec import KindSpec, user_deployments
from gda.errors import UnknownKind
from gda.settings import Settings
from gda.store.records import Schedule

DIGEST = KindSpec("digest", "flows.digest.deliver_digests", "1", {"type": "object"})
KINDS = {"digest": DIGEST, "novel-events": KindSpec("novel-events", "flows.events.find")}


def schedule(user: str | None = "ada", expression: str = "weekdays 07:30", **changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "id": f"{user}-{changes.get('name', 'default')}",
        "user_id": user,
        "kind": "digest",
        "name": "default",
        "expression": expression,
        "timezone": "Europe/Berlin",
        "inherits_timezone": True,
        "enabled": True,
        "user_status": "active",
        "revision": 1,
        "active_from": datetime(2026, 1, 1, tzinfo=UTC),
        "next_due_at": None,
    }
    return Schedule(**values | changes)


def test_a_schedule_becomes_a_deployment_named_after_its_user() -> None:
    [spec] = user_deployments([schedule()], KINDS, Settings(prefect_pool="mine"))
    assert spec.title == "digest/ada"
    assert spec.entrypoint == "flows.digest.deliver_digests"
    assert spec.parameters == {"user": "ada"}
    assert spec.tags == ("gda", "kind:digest", "user:ada")
    assert (spec.work_pool, spec.work_queue, spec.pull_steps) == ("mine", "default", ())
    assert (spec.concurrency_limit, spec.collision_strategy) == (1, "ENQUEUE")
    assert spec.description == "every weekday at 07:30 Europe/Berlin"
    assert (spec.version, spec.parameter_schema) == ("1", {"type": "object"})
    [cron] = spec.schedules
    assert (cron.slug, cron.cron, cron.timezone, cron.active) == ("default", "30 7 * * 1-5", "Europe/Berlin", True)


def test_schedules_of_one_user_and_kind_share_a_deployment_and_are_told_apart_by_slug() -> None:
    evening = schedule(expression="daily 18:00", name="evening")
    [spec] = user_deployments([evening, schedule()], KINDS, Settings())
    assert [(one.slug, one.cron) for one in spec.schedules] == [("default", "30 7 * * 1-5"), ("evening", "0 18 * * *")]
    assert spec.description.startswith("default: every weekday at 07:30 Europe/Berlin; evening: every day at 18:00")


def test_each_user_and_each_kind_has_a_deployment_of_its_own_in_a_stable_order() -> None:
    wanted = [schedule("bob"), schedule(kind="novel-events"), schedule()]
    titles = [spec.title for spec in user_deployments(wanted, KINDS, Settings())]
    assert titles == ["digest/ada", "novel-events/ada", "digest/bob"]
    assert user_deployments(wanted, KINDS, Settings()) == user_deployments(reversed(wanted), KINDS, Settings())


def test_days_1_and_31_become_two_prefect_schedules_of_one_group() -> None:
    [spec] = user_deployments([schedule(expression="0 9 1,31 * *")], KINDS, Settings())
    assert [one.slug for one in spec.schedules] == ["default", "default#2"]
    assert {one.group for one in spec.schedules} == {"default"}
    assert sorted(one.cron for one in spec.schedules) == ["0 9 1 * *", "0 9 31 * *"]


def test_elapsed_time_is_counted_in_utc_wherever_the_user_lives() -> None:
    [spec] = user_deployments([schedule(expression="every 15 minutes")], KINDS, Settings())
    assert [(one.cron, one.timezone) for one in spec.schedules] == [("*/15 * * * *", "UTC")]


@pytest.mark.parametrize("expression", ["once 2026-12-24T18:00", "every 7 minutes"])
def test_what_cron_cannot_say_has_a_deployment_without_prefect_schedule_and_says_who_serves_it(expression: str) -> None:
    [spec] = user_deployments([schedule(expression=expression)], KINDS, Settings())
    assert spec.schedules == ()
    assert spec.description.endswith("(no cron can say this: the drain serves it)")


@pytest.mark.parametrize("paused", [{"enabled": False}, {"user_status": "paused"}])
def test_a_paused_schedule_or_user_keeps_the_deployment_with_the_prefect_schedule_off(paused: dict[str, Any]) -> None:
    [spec] = user_deployments([schedule(**paused)], KINDS, Settings())
    assert [one.active for one in spec.schedules] == [False]
    assert not spec.paused


def test_a_stored_expression_that_no_longer_parses_does_not_stop_the_others() -> None:
    broken = schedule("bob", expression="every blue moon")
    ada, bob = user_deployments([schedule(), broken], KINDS, Settings())
    assert len(ada.schedules) == 1
    assert bob.schedules == ()
    assert "'every blue moon' is no valid schedule any more" in bob.description


def test_the_operators_own_schedules_are_not_users_deployments() -> None:
    assert user_deployments([schedule(None)], KINDS, Settings()) == []


def test_a_kind_without_a_flow_of_its_own_has_deployments_of_the_generic_flow_which_say_the_kind() -> None:
    report = KindSpec("run-job", "flows.run_job.run_job", kind="sales-report", generic=True)
    [spec] = user_deployments([schedule(kind="sales-report")], {"sales-report": report}, Settings())
    assert (spec.title, spec.entrypoint) == ("run-job/sales-report:ada", "flows.run_job.run_job")
    assert spec.parameters == {"kind": "sales-report", "user": "ada"}
    assert spec.tags == ("gda", "kind:sales-report", "user:ada")


def test_schedules_under_a_kinds_earlier_name_get_the_deployment_of_the_present_one() -> None:
    report = KindSpec("run-job", "flows.run_job.run_job", kind="sales-report", generic=True, earlier=("sales",))
    wanted = [schedule(kind="sales"), schedule(kind="sales-report", name="evening", expression="daily 18:00")]
    [spec] = user_deployments(wanted, dict.fromkeys(("sales", "sales-report"), report), Settings())
    assert (spec.title, spec.tags[1]) == ("run-job/sales-report:ada", "kind:sales-report")
    assert [one.slug for one in spec.schedules] == ["default", "evening"]
    assert "run-job/sales:ada" in spec.formerly


def test_a_kind_that_no_flow_serves_is_named_rather_than_dropped() -> None:
    with pytest.raises(UnknownKind, match=r"'horoscope', which no flow serves \(there is digest, novel-events\)"):
        user_deployments([schedule(kind="horoscope")], KINDS, Settings())
