"""A kept plan is carried out only while it is still what there is to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployments.plan import Existing, Plan, plan
from deployments.spec import DeploymentSpec, ScheduleSpec
from gda.cli.kept_plan import require_same, save_plan
from gda.errors import UsageError

MORNING = ScheduleSpec("default", "30 7 * * *", "Europe/Berlin", group="default")
ADA = DeploymentSpec("digest", "ada", "flows.digest.deliver_digests", schedules=(MORNING,), tags=("gda", "user:ada"))


def planned(*wanted: DeploymentSpec, there: tuple[DeploymentSpec, ...] = ()) -> Plan:
    return plan(wanted, [Existing("1", one, {"default": "s"}) for one in there])


def test_the_same_plan_passes(tmp_path: Path) -> None:
    later = replace(ADA, schedules=(replace(MORNING, cron="0 8 * * *"),))
    for found in (planned(ADA), planned(later, there=(ADA,)), planned(there=(ADA,)), planned(ADA, there=(ADA,))):
        save_plan(found, tmp_path / "plan.json")
        require_same(found, tmp_path / "plan.json")


def test_a_plan_that_is_out_of_date_does_nothing_and_says_what_differs(tmp_path: Path) -> None:
    save_plan(planned(ADA), tmp_path / "plan.json")
    with pytest.raises(UsageError, match=r"\(create, unchanged differ\), so nothing was done"):
        require_same(planned(ADA, there=(ADA,)), tmp_path / "plan.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', "no json"])
def test_a_file_without_a_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match="holds no plan of this release"):
        require_same(planned(ADA), tmp_path / "plan.json")


def test_a_file_that_is_missing_or_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        require_same(planned(ADA), tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot be kept in"):
        save_plan(planned(ADA), tmp_path / "none" / "plan.json")
