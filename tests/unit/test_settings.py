"""Settings: where a value comes from, and what is said about a bad one."""

import pytest

from gda.errors import UsageError
from gda.settings import Settings, load_settings


def test_an_argument_wins_over_the_environment_and_the_environment_over_the_default(monkeypatch):
    assert load_settings().concurrency == 64
    monkeypatch.setenv("GDA_CONCURRENCY", "7")
    assert load_settings().concurrency == 7
    assert load_settings(concurrency=3).concurrency == 3


def test_an_argument_that_is_none_was_not_given(monkeypatch):
    monkeypatch.setenv("GDA_SMTP_HOST", "mail.example.org")

    assert load_settings(smtp_host=None).smtp_host == "mail.example.org"


def test_the_environment_wins_over_the_env_file_and_an_empty_variable_counts_as_unset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("GDA_SMTP_HOST=file.example.org\nGDA_SMTP_PORT=2525\nUNRELATED=1\n")
    monkeypatch.setenv("GDA_SMTP_PORT", "26")
    monkeypatch.setenv("GDA_SMTP_HOST", "")

    settings = load_settings()

    assert (settings.smtp_host, settings.smtp_port) == ("file.example.org", 26)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("GDA_CONCURRENCY", "0", "GDA_CONCURRENCY='0': Input should be greater than or equal to 1"),
        ("GDA_CONCURRENCY", "many", "GDA_CONCURRENCY='many': Input should be a valid integer"),
        ("GDA_SMTP_PORT", "70000", "GDA_SMTP_PORT='70000': Input should be less than or equal to 65535"),
        ("GDA_SMTP_SECURITY", "ssl", "GDA_SMTP_SECURITY='ssl': Input should be 'none', 'starttls' or 'tls'"),
        ("GDA_RUN_RETRIES", "3", "GDA_RUN_RETRIES='3': Input should be less than or equal to 2"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_variable_value_and_rule(monkeypatch, variable, value, says):
    monkeypatch.setenv(variable, value)

    with pytest.raises(UsageError) as refused:
        load_settings()

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_several_bad_values_are_named_at_once(monkeypatch):
    monkeypatch.setenv("GDA_CONCURRENCY", "0")
    monkeypatch.setenv("GDA_LEASE_SECONDS", "soon")

    with pytest.raises(UsageError, match=r"GDA_CONCURRENCY.*; GDA_LEASE_SECONDS"):
        load_settings()


def test_a_lease_that_a_live_worker_would_lose_is_refused_and_no_secret_is_shown(monkeypatch):
    monkeypatch.setenv("GDA_LEASE_REFRESH_SECONDS", "90")
    monkeypatch.setenv("GDA_SMTP_PASSWORD", "canary-password")

    with pytest.raises(UsageError) as refused:
        load_settings()

    assert str(refused.value).startswith(
        "bad settings: GDA_LEASE_REFRESH_SECONDS=90.0 must be at most half of GDA_LEASE_SECONDS=60"
    )
    assert "canary" not in str(refused.value)


def test_a_bad_secret_is_named_without_its_value():
    with pytest.raises(UsageError) as refused:
        load_settings(smtp_password=["canary-password"])

    assert "GDA_SMTP_PASSWORD: " in str(refused.value)
    assert "canary" not in str(refused.value)


def test_secrets_are_masked_in_every_text_form():
    settings = Settings(keys="canary-key", smtp_password="canary-password", database_url="postgresql://u:canary@h/d")

    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.database == "postgresql://u:canary@h/d"


def test_the_default_database_is_a_file_in_the_home_and_absolute_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GDA_HOME", ".state")

    assert load_settings().database == f"sqlite+aiosqlite:///{tmp_path.resolve()}/.state/gda.db"
