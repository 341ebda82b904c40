"""The search that proves absence must find what is there."""

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from tests.support.leaks import files_in, leaks

SECRET = "1//canary+token/4f1d?ü"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize(
    "spell",
    [str.encode, lambda s: b64encode(s.encode()), lambda s: urlsafe_b64encode(s.encode()), lambda s: quote(s).encode()],
    ids=["plain", "base64", "base64url", "url"],
)
def test_a_planted_secret_is_found_in_every_spelling_and_at_every_offset(before, spell):
    data = b"\x00noise " + spell(f"{before}{SECRET} and more") + b" noise"

    assert leaks({"token": SECRET}, {"file": data}) == ["token in file"]


def test_nothing_is_found_where_nothing_is():
    assert leaks({"token": SECRET}, {"file": b64encode(b"another text of some length") * 50}) == []


def test_all_files_of_a_folder_are_searched(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "gda.db-wal").write_bytes(SECRET.encode())

    assert leaks({"token": SECRET}, files_in(tmp_path)) == [f"token in {tmp_path}/deep/gda.db-wal"]
