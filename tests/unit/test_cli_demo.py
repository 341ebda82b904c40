"""The demo's pieces: who plays, where, and that nothing of the caller's own GDA and Prefect gets in."""

import os
from pathlib import Path

import pytest

from gda.cli.demo.people import SAMPLE_PEOPLE, people
from gda.cli.demo.results import Results
from gda.cli.demo.stage import Stage, set_up
from gda.sandbox.sources import sample_sets
from gda.schedule import parse, zone
from gda.settings import load_settings


def stage(folder: Path) -> Stage:
    return Stage(folder, 4201, 4202, 4203)


def results(**changes: int) -> Results:
    counts = {"users": 2, "deployments": 2, "delivered": 2, "duplicates": 0, "skipped": 0, "dead": 0} | changes
    return Results(**counts, messages_in=9, messages_listed=9, placeholders=0, seconds=1.0, server="", inbox="")


def test_the_sample_people_live_in_many_timezones_and_have_shipped_mail() -> None:
    assert len(SAMPLE_PEOPLE) >= 5
    assert len({zone(person.timezone).key for person in SAMPLE_PEOPLE}) >= 4
    assert {person.samples for person in SAMPLE_PEOPLE} <= set(sample_sets())
    for person in SAMPLE_PEOPLE:
        parse(person.expression, timezone=person.timezone)


def test_more_people_than_samples_are_made_up_with_ids_and_schedules_of_their_own() -> None:
    crowd = people(200)
    assert len({person.email for person in crowd}) == 200
    assert crowd[:6] == list(SAMPLE_PEOPLE)
    for person in crowd:
        parse(person.expression, timezone=person.timezone)


def test_the_children_get_the_callers_environment_without_its_gda_and_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDA_DATABASE_URL", "postgresql+asyncpg://elsewhere/production")
    monkeypatch.setenv("GDA_KEYS", "mine")
    monkeypatch.setenv("PREFECT_API_KEY", "mine")
    found = stage(tmp_path).environment()
    assert found["PATH"] == os.environ["PATH"]
    assert found["GDA_DATABASE_URL"] == f"sqlite+aiosqlite:///{tmp_path / 'gda.db'}"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4201/api"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert not {"GDA_KEYS", "PREFECT_API_KEY"} & set(found)


def test_entering_the_stage_makes_this_process_one_of_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    wanted = stage(tmp_path).environment()
    stage(tmp_path).enter()
    assert dict(os.environ) == wanted


def test_the_stages_settings_are_those_of_its_children_and_no_dotenv_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("GDA_CONCURRENCY=3\n")
    monkeypatch.chdir(tmp_path)
    given = stage(tmp_path / "demo").settings()
    assert (given.concurrency, given.smtp_port, given.mail_settling_seconds) == (64, 4203, 30)
    (tmp_path / ".env").unlink()
    for name, value in stage(tmp_path / "demo").environment().items():
        if name.startswith("GDA_"):
            monkeypatch.setenv(name, value)
    assert given == load_settings()


def test_the_stage_is_cleared_but_what_lies_beside_it_stays(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "old").touch()
    (tmp_path / "gda.db").touch()
    with set_up(tmp_path, {"--port": None, "--sandbox-port": None, "--smtp-port": None}) as found:
        assert list(found.folder.iterdir()) == []
        assert found.folder.stat().st_mode & 0o777 == 0o700
        assert len({found.prefect_port, found.http_port, found.smtp_port}) == 3
    assert (tmp_path / "gda.db").exists()


def test_the_demo_succeeds_only_when_everybody_has_exactly_one_digest() -> None:
    assert results().is_success
    assert results(delivered=1, skipped=1).is_success
    assert not results(delivered=1).is_success
    assert not results(duplicates=1).is_success
    assert not results(dead=1).is_success
