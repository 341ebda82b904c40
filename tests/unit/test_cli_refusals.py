"""Bad input and absent things: one sentence on standard error, exit code 2, nothing written."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gda.cli import COMMANDS, main
from gda.cli.processes import free_ports
from gda.cli.run import report_failure
from gda.errors import Unavailable
from tests.support.command import Gda, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    return Gda(capsys)


@pytest.mark.parametrize(
    "words",
    [
        ("user", "add", "a@example.org", "--timezone", "UTC"),
        ("user", "list"),
        ("schedule", "list"),
        ("occurrences", "list"),
        ("trigger", "digest", "--user", "ada"),
        ("plan",),
        ("apply",),
        ("db", "downgrade", "base"),
    ],
)
def test_without_a_database_the_command_to_run_is_named_and_no_file_is_made(
    gda: Gda, gda_home: Path, words: tuple[str, ...]
) -> None:
    assert "gda db upgrade" in gda(*words).refusal
    assert not gda_home.exists()


def test_asking_for_the_version_of_no_database_makes_none(gda: Gda, gda_home: Path) -> None:
    assert "schema empty" in gda("db", "current").out
    assert not gda_home.exists()


def test_a_new_database_is_private(gda: Gda, gda_home: Path) -> None:
    assert gda("db", "upgrade").code == 0
    assert gda_home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "command", [("plan",), ("apply",), ("apply", "--system"), ("trigger", "digest", "--user", "ada")]
)
def test_an_unreachable_prefect_api_is_named_with_what_to_do(
    gda: Gda, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    make_database()
    gda("user", "add", "ada@example.org", "--timezone", "UTC")
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    url = f"http://127.0.0.1:{free_ports(1)[0]}/api"
    with temporary_settings({PREFECT_API_URL: url}):
        refusal = gda(*command).refusal
    assert url in refusal
    assert "gda up" in refusal
    assert json.loads(gda("occurrences", "list", "--json").out) == []


def test_without_any_prefect_api_none_is_started(gda: Gda) -> None:
    make_database()
    assert "no Prefect API is set" in gda("plan").refusal


def test_with_detailed_exit_codes_an_error_is_1(gda: Gda) -> None:
    answer = gda("plan", "--detailed-exitcode")
    assert (answer.code, answer.out) == (1, "")
    assert "gda db upgrade" in answer.err


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_a_port_in_use_is_refused_before_anything_starts(gda: Gda, gda_home: Path, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port} cannot be used" in gda(command, "--port", str(port)).refusal
    assert not (gda_home / "demo").exists()


@pytest.mark.parametrize("words", [("demo", "--once"), ("sandbox", "--account", "a@example.org")])
def test_a_missing_mail_folder_is_refused_before_anything_starts(
    gda: Gda, gda_home: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    missing = tmp_path / "no-mail-here"
    assert str(missing) in gda(*words, "--mail", str(missing)).refusal
    assert not gda_home.exists()


def test_a_folder_without_mail_is_refused(gda: Gda, tmp_path: Path) -> None:
    assert "there is no mail" in gda("demo", "--mail", str(tmp_path)).refusal


@pytest.mark.parametrize("users", ["0", "-1", "100000"])
def test_a_demo_of_too_few_or_too_many_is_refused(gda: Gda, users: str) -> None:
    assert "from 1 to 1000" in gda("demo", f"--users={users}").refusal


def test_two_demos_do_not_share_a_folder(gda: Gda, gda_home: Path) -> None:
    from gda.cli.home import held

    with held(gda_home, "demo"):
        assert "another `gda demo` runs" in gda("demo", "--once").refusal
    assert not (gda_home / "demo").exists()


def test_bad_settings_are_named_by_their_variable(gda: Gda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDA_CONCURRENCY", "many")
    assert "GDA_CONCURRENCY" in gda("user", "list").refusal


def test_an_unknown_command_is_answered_with_the_nearest(gda: Gda) -> None:
    assert 'Did you mean "user"?' in gda("usr", "list").refusal
    assert 'Did you mean "list"?' in gda("user", "lst").refusal
    assert "Did you mean --timezone" in gda("user", "add", "a@example.org", "--timezon", "UTC").refusal


def test_a_missing_argument_is_one_sentence(gda: Gda) -> None:
    assert "--timezone" in gda("user", "add", "a@example.org").refusal


def test_unexpected_errors_name_their_class_and_hide_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report_failure(RuntimeError("boom")) == 1
    assert capsys.readouterr().err == "gda: unexpected RuntimeError: boom (GDA_DEBUG=1 shows where)\n"
    monkeypatch.setenv("GDA_DEBUG", "1")
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("boom")
    assert report_failure(raised.value) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_error_that_came_in_a_group_of_one_is_that_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(ExceptionGroup("group", [Unavailable("the server is away")])) == 2
    assert capsys.readouterr().err == "gda: the server is away\n"


def test_ctrl_c_is_130_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


def test_every_command_has_help(gda: Gda) -> None:
    for name, _, help_text in COMMANDS:
        answer = gda(name, "--help")
        assert answer.code == 0
        assert help_text.split()[0] in answer.out


def test_help_names_every_command_and_the_exit_codes_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from gda.cli import main\n"
        "code = main(['--help'])\n"
        "heavy = {'prefect', 'sqlalchemy', 'httpx', 'pydantic', 'gda.cli.demo', 'gda.store'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)), code)\n"
    )
    root = Path(__file__).parents[2]
    shown = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True, text=True).stdout
    assert shown.splitlines()[-1] == "loaded [] 0"
    assert "Exit codes: 0 done" in shown
    assert all(name in shown for name, _, _ in COMMANDS)


def test_the_version_is_the_packages(gda: Gda) -> None:
    from importlib.metadata import version

    assert gda("--version").out.strip() == version("prefect-gda")


def test_main_without_words_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage: gda" in capsys.readouterr().out
