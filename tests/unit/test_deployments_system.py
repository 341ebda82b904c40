"""prefect.yaml read as deployments, with settings laid over its literal defaults."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.kinds import load_kind, load_kinds
from deployments.pools import QUEUES, pool_specs
from deployments.spec import KindSpec
from deployments.system import OVERLAYS, find_file, read_system_specs
from gda.errors import InvalidSchedule, Unavailable, UnknownKind, UsageError
from gda.glue.queues import LINES, beside
from gda.registry import load_registry
from gda.settings import Settings

FILE = Path(__file__).parents[2] / "prefect.yaml"


def kind(entrypoint: str) -> KindSpec:
    return KindSpec("digest", entrypoint, "1", {"type": "object"})


def specs(path: Path = FILE, **settings: Any) -> Any:
    return read_system_specs(path, Settings(**settings), load=kind)


def test_the_drain_stands_in_the_file_with_literal_defaults() -> None:
    drain = specs()[0]
    assert drain.title == "digest/drain"
    assert drain.tags == ("gda", "kind:digest", "system")
    assert drain.parameters == {}
    [cron] = drain.schedules
    assert (cron.cron, cron.timezone, cron.active) == ("*/5 * * * *", "UTC", True)
    assert (drain.work_pool, drain.work_queue) == ("gda", "digest-drain")
    assert (drain.concurrency_limit, drain.collision_strategy) == (4, "ENQUEUE")


def test_the_defaults_of_the_settings_are_those_of_the_file() -> None:
    scheduled = [entry for entry in yaml.safe_load(FILE.read_text())["deployments"] if "schedules" in entry]
    assert len(scheduled) == len(OVERLAYS)
    for entry in scheduled:
        overlay = OVERLAYS[entry["entrypoint"], entry["name"]]
        first = entry["schedules"][0]
        assert Settings.model_fields[overlay.cron].default == first["cron"]
        assert Settings.model_fields[overlay.enabled].default is first["active"]


def test_settings_are_laid_over_the_cron_the_switch_and_the_pool() -> None:
    drain, *others = specs(digest_drain_cron="every 10 minutes", digest_drain_enabled=False, prefect_pool="mine")
    [cron] = drain.schedules
    assert (cron.cron, cron.active) == ("*/10 * * * *", False)
    assert drain.work_pool == "mine"
    assert {one.entrypoint: one.work_pool for one in others} == {
        "flows.run_job.run_job": "mine",
        "flows.dead_letters.replay_dead_letters": "mine",
        "flows.recurring_tasks.process_recurring_tasks": "mine",
        "flows.overdue_scan.scan_overdue": "mine",
        "flows.reminders.send_reminders": "mine",
        "flows.token_refresh.refresh_tokens": "mine",
        "flows.sweep.sweep_once": "mine-system",
        "flows.retention.prune_old_rows": "mine",
        "deployments.nightly.apply_at_night": "mine",
    }


@pytest.mark.parametrize("cron", ["* * * * * *", "0 0 31 2 *", "sometimes"])
def test_a_cron_setting_that_breaks_a_rule_is_refused(cron: str) -> None:
    with pytest.raises(InvalidSchedule):
        specs(digest_drain_cron=cron)


def test_a_setting_that_no_cron_can_say_is_refused_by_its_name() -> None:
    with pytest.raises(UsageError, match=r"GDA_DIGEST_DRAIN_CRON='every 7 minutes' cannot be said in cron"):
        specs(digest_drain_cron="every 7 minutes")


def test_a_file_that_is_absent_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"absent.yaml cannot be read"):
        specs(tmp_path / "absent.yaml")
    (tmp_path / "prefect.yaml").write_text("deployments: [{name: x}]")
    with pytest.raises(UsageError, match=r"no prefect.yaml that GDA can read \(KeyError\('entrypoint'\)\)"):
        specs(tmp_path / "prefect.yaml")


def test_the_file_of_a_clone_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_file().read_text() == FILE.read_text()


def test_the_file_names_only_pools_that_apply_makes() -> None:
    made = {pool.name for pool in pool_specs(Settings())}
    assert made == {"gda", "gda-system"}
    assert {spec.work_pool for spec in specs()} <= made
    assert {spec.work_queue for spec in specs()} <= {queue.name for queue in QUEUES}


def test_of_each_job_with_a_schedule_one_run_begins_at_a_time_and_a_drains_shards_and_stand_ins_go_beside_it() -> None:
    queues = {queue.name: queue for queue in QUEUES}
    jobs = [spec for spec in specs() if spec.schedules and spec.name != "sweep"]
    unbounded = [job for job in jobs if job.concurrency_limit != 1]
    assert {queues[job.work_queue].limit for job in unbounded} == {1}
    assert len({job.work_queue for job in unbounded}) == len(unbounded), "one drain must not wait for another"
    assert {job.work_queue: beside(job.work_queue) for job in jobs} == {
        "digest-drain": "default",
        "reminder-drain": "critical",
        "token-refresh-drain": "default",
        "default": "default",
    }
    assert all(queues[name].limit is None for name in LINES.values())


def test_the_sweep_has_a_pool_and_each_of_its_workers_for_itself_so_that_nothing_long_stands_before_it() -> None:
    own = {pool.name: pool for pool in pool_specs(Settings())}["gda-system"]
    assert [spec.entrypoint for spec in specs() if spec.work_pool == own.name] == ["flows.sweep.sweep_once"]
    assert (own.limit, own.at_once) == (None, 1)


def test_every_kind_has_a_flow_whose_parameters_a_person_can_fill_in() -> None:
    kinds = load_kinds()
    assert set(kinds) == set(load_registry().kinds())
    digest = kinds["digest"]
    assert digest.flow_name == "digest"
    assert digest.version
    assert set(digest.parameter_schema["properties"]) >= {"user", "at", "extra"}
    assert digest.parameter_schema["properties"]["extra"]["type"] == "boolean"
    assert not digest.parameter_schema.get("required")


@pytest.mark.parametrize("entrypoint", ["flows.digest.absent", "flows.absent.deliver", "nodots"])
def test_an_entry_point_that_names_no_flow_is_refused(entrypoint: str) -> None:
    with pytest.raises(UnknownKind, match=f"entry point '{entrypoint}' names no flow"):
        load_kind(entrypoint)
