"""Secrets at rest."""

import os
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from gda.errors import UsageError
from gda.settings import Settings
from gda.vault import KEYS_FILE, Vault, new_key

SECRET = "1//canary-4711-refresh"


def settings(home: Path, keys: str | None = None) -> Settings:
    return Settings(home=home, keys=None if keys is None else SecretStr(keys))


def test_what_is_sealed_opens_for_the_same_user() -> None:
    vault = Vault([new_key()])
    sealed = vault.seal("u1", SECRET)
    assert "canary" not in sealed
    assert vault.open("u1", sealed) == SECRET


def test_sealing_twice_gives_two_texts() -> None:
    vault = Vault([new_key()])
    assert vault.seal("u1", SECRET) != vault.seal("u1", SECRET)


def test_another_users_ciphertext_does_not_open() -> None:
    vault = Vault([new_key()])
    with pytest.raises(UsageError):
        vault.open("u2", vault.seal("u1", SECRET))
    with pytest.raises(UsageError):
        vault.rotate("u2", vault.seal("u1", SECRET))


def test_a_change_of_any_character_is_noticed() -> None:
    vault = Vault([new_key()])
    sealed = vault.seal("u1", SECRET)
    for at in range(len(sealed)):
        # Padding at the end carries no bits; every other character does.
        if sealed[at] == "=":
            continue
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "Q") + sealed[at + 1 :]
        with pytest.raises(UsageError):
            vault.open("u1", changed)


@pytest.mark.parametrize("sealed", ["", "nonsense", "ä", SECRET])
def test_what_was_never_sealed_does_not_open_and_is_not_quoted(sealed: str) -> None:
    with pytest.raises(UsageError) as caught:
        Vault([new_key()]).open("u1", sealed)
    assert "canary" not in repr(caught.value)
    assert caught.value.__context__ is None


def test_an_old_key_still_opens_and_rotation_makes_it_needless() -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal("u1", SECRET)
    both = Vault([new, old])
    assert both.open("u1", sealed) == SECRET
    rotated = both.rotate("u1", sealed)
    assert Vault([new]).open("u1", rotated) == SECRET
    with pytest.raises(UsageError, match="connect again"):
        Vault([new]).open("u1", sealed)


@pytest.mark.parametrize("key", ["canary", "canary" * 10, "ä", "A" * 43 + "=AAAA", "A" * 43 + "*="])
def test_a_malformed_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(UsageError, match="key 2 of GDA_KEYS") as caught:
        Vault([new_key(), key])
    assert key not in repr(caught.value)


def test_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no key"):
        Vault.from_settings(settings(tmp_path, " , "))


def test_keys_are_read_from_the_environments_value(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    vault = Vault.from_settings(settings(tmp_path, f" {first} , {second} "))
    assert Vault([first]).open("u1", vault.seal("u1", SECRET)) == SECRET
    assert not (tmp_path / KEYS_FILE).exists()


def test_a_private_keys_file_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    home = tmp_path / "state"
    sealed = Vault.from_settings(settings(home)).seal("u1", SECRET)
    assert Vault.from_settings(settings(home)).open("u1", sealed) == SECRET
    assert [entry.name for entry in home.iterdir()] == [KEYS_FILE]
    if os.name == "posix":
        assert home.stat().st_mode & 0o777 == 0o700
        assert (home / KEYS_FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_put_first_into_the_file_seals_and_the_old_one_opens(tmp_path: Path) -> None:
    sealed = Vault.from_settings(settings(tmp_path)).seal("u1", SECRET)
    file, newest = tmp_path / KEYS_FILE, new_key()
    file.write_text(f"{newest}\n{file.read_text()}")
    vault = Vault.from_settings(settings(tmp_path))
    assert vault.open("u1", sealed) == SECRET
    assert Vault([newest]).open("u1", vault.seal("u1", SECRET)) == SECRET


def test_many_first_users_agree_on_one_key(tmp_path: Path) -> None:
    start, vaults = threading.Barrier(8), list[Vault]()

    def first_use() -> None:
        start.wait()
        vaults.append(Vault.from_settings(settings(tmp_path / "home")))

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vaults) == 8
    assert {vault.open("u1", vaults[0].seal("u1", SECRET)) for vault in vaults} == {SECRET}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_keys_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Vault.from_settings(settings(tmp_path))
    (tmp_path / KEYS_FILE).chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        Vault.from_settings(settings(tmp_path))


def test_derived_keys_are_kept_in_bounds() -> None:
    vault = Vault([new_key()])
    for user in range(5000):
        vault.seal(str(user), "x")
    assert vault._of_user.cache_info().currsize <= 4096
