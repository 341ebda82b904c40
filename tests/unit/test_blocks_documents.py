"""What travels in block documents: every setting a worker needs, once, and back without loss."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

import blocks
from blocks import encryption_keys, google_oauth, ledger_database, mail_server, notice_channels, run_options
from gda.errors import Unavailable, UsageError
from gda.settings import Settings
from gda.vault import Vault, new_key

FIELDS: dict[ModuleType, dict[str, str]] = {
    module: dict(module.SETTINGS) for module in (google_oauth, mail_server, notice_channels, run_options)
}
DSN = "postgresql+asyncpg://gda:p%40ss@db.example.org:5433/gda?ssl=require"


def stored(block: Any) -> dict[str, Any]:
    """The document as Prefect keeps it, secrets readable."""
    return dict(block.model_dump(mode="json", context={"include_secrets": True}))


def plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_every_setting_is_in_exactly_one_block_or_known_to_be_local() -> None:
    carried = [setting for fields in FIELDS.values() for setting in fields.values()] + ["database_url", "keys"]
    assert len(carried) == len(set(carried))
    assert set(carried) | blocks.LOCAL == set(Settings.model_fields)
    assert not set(carried) & blocks.LOCAL


@pytest.mark.parametrize("module", FIELDS, ids=lambda module: module.DOCUMENT)
def test_each_field_has_the_default_the_type_and_a_description_of_its_setting(module: ModuleType) -> None:
    for field, setting in FIELDS[module].items():
        ours, original = module.BLOCK.model_fields[field], Settings.model_fields[setting]
        assert ours.annotation == original.annotation, field
        assert ours.default == original.default, field
        assert ours.description, field
    assert set(FIELDS[module]) <= set(module.BLOCK.model_fields)


def test_values_come_back_as_they_went() -> None:
    settings = Settings(
        google_client_id="id",
        google_client_secret=SecretStr("hush"),
        smtp_host="mail.example.org",
        smtp_password=SecretStr("pw"),
        mail_settling_seconds=30,
        concurrency=7,
        digest_max_messages=9,
    )
    back: dict[str, Any] = {}
    for module in FIELDS:
        back |= module.read(stored(module.make(settings)))
    for setting, value in back.items():
        assert plain(value) == plain(getattr(settings, setting)), setting


def test_an_older_document_that_lacks_a_field_leaves_it_to_the_environment() -> None:
    assert mail_server.read({"host": "h"}) == {"smtp_host": "h"}


def test_the_password_of_the_database_is_in_a_secret_field_and_the_url_comes_back_whole() -> None:
    block = ledger_database.make(Settings(database_url=SecretStr(DSN)))
    assert "p@ss" not in str(block)
    assert block.connection_info.password.get_secret_value() == "p@ss"
    assert ledger_database.read(stored(block))["database_url"].get_secret_value() == DSN


def test_a_document_that_a_person_wrote_as_one_url_is_read_too() -> None:
    assert ledger_database.read({"connection_info": DSN})["database_url"].get_secret_value() == DSN


def test_a_relative_sqlite_path_is_stored_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = ledger_database.make(Settings(database_url=SecretStr("sqlite+aiosqlite:///state/gda.db?timeout=9")))
    url = ledger_database.read(stored(block))["database_url"].get_secret_value()
    assert url == f"sqlite+aiosqlite:///{tmp_path}/state/gda.db?timeout=9"


def test_the_default_database_lies_in_the_home_folder(tmp_path: Path) -> None:
    block = ledger_database.make(Settings(home=tmp_path))
    assert block.connection_info.database == str(tmp_path / "gda.db")


@pytest.mark.parametrize("url", ["postgresql://u:geheim@h/db", "nonsense geheim", "sqlite+pysqlite:///geheim"])
def test_a_database_url_without_asynchronous_driver_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError, match="GDA_DATABASE_URL is no URL with an asynchronous driver") as refused:
        ledger_database.make(Settings(database_url=SecretStr(url)))
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_a_database_in_memory_is_refused_because_no_worker_can_open_it(url: str) -> None:
    with pytest.raises(UsageError, match="a database in memory"):
        ledger_database.make(Settings(database_url=SecretStr(url)))


def test_a_spoilt_ledger_document_is_named_without_its_content() -> None:
    with pytest.raises(UsageError, match="block 'gda-ledger'") as refused:
        ledger_database.read({"connection_info": {"driver": "postgresql", "password": "geheim"}})
    assert "geheim" not in str(refused.value)


def test_keys_of_the_settings_travel() -> None:
    keys = f"{new_key()},{new_key()}"
    block = encryption_keys.make(Settings(keys=SecretStr(keys)))
    assert encryption_keys.read(stored(block)) == {"keys": keys}


def test_keys_of_the_keys_file_travel_so_that_a_worker_elsewhere_opens_what_was_sealed_here(tmp_path: Path) -> None:
    here = Settings(home=tmp_path / "here")
    sealed = Vault.from_settings(here).seal("ada", "token")
    elsewhere = Settings(home=tmp_path / "there", **encryption_keys.read(stored(encryption_keys.make(here))))
    assert Vault.from_settings(elsewhere).open("ada", sealed) == "token"
    assert not (tmp_path / "there").exists()


def test_a_malformed_key_is_not_registered() -> None:
    with pytest.raises(UsageError, match="GDA_KEYS"):
        encryption_keys.make(Settings(keys=SecretStr("too short")))


async def test_without_a_prefect_api_the_environment_and_arguments_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDA_CONCURRENCY", "5")
    monkeypatch.setenv("GDA_CLAIM_SIZE", "6")
    settings = await blocks.load_settings(claim_size=9, keys=None)
    assert (settings.concurrency, settings.claim_size, settings.keys) == (5, 9, None)


async def test_an_api_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from tests.support.prefect_server import free_port

    url = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(Unavailable, match=f"the Prefect API at {url} cannot be asked"),
    ):
        await blocks.load_settings()


async def test_nothing_is_saved_at_an_open_api_beyond_this_machine(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: "http://192.0.2.7:4200/api"}),
        pytest.raises(Unavailable, match="used without authentication"),
    ):
        await blocks.register_all(Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_importing_the_package_costs_no_prefect_import() -> None:
    import subprocess

    code = (
        "import sys, blocks, deployments.plan, deployments.apply, deployments.system; print('prefect' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
