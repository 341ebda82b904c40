"""``gda demo`` as a stranger runs it: a real process with real children, judged by what it delivered."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gda.cli.processes import MARK

DEMO_SECONDS = 600
NASTY = {
    "no-headers": b"\r\nOnly a body.\r\n",
    "empty": b"",
    "no-subject": b"From: Nora <nora@example.org>\r\nTo: me@example.org\r\n\r\nHello.\r\n",
    "no-sender": b"Subject: Who am I\r\n\r\nGuess.\r\n",
    "unknown-charset": (
        b"From: a@example.org\r\nSubject: =?x-klingon?B?aGVsbG8=?=\r\n"
        b"Content-Type: text/plain; charset=x-klingon\r\n\r\n\xff\xfe\x00\r\n"
    ),
    "broken-base64": (
        b"From: b@example.org\r\nSubject: Broken\r\nContent-Type: text/plain\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!not base64!!!\r\n"
    ),
    "endless-multipart": (
        b'From: c@example.org\r\nSubject: Endless\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nnever closed\r\n"
    ),
    "script": (
        b"From: <script>alert(1)</script> <d@example.org>\r\nSubject: <b>bold</b> & co\r\n"
        b"Content-Type: text/html\r\n\r\n<script>alert(1)</script><p>Text</p>\r\n"
    ),
}


def demo_command(*words: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from gda.cli import main; sys.exit(main())", "demo", *words]


def environment(home: Path) -> dict[str, str]:
    # Production settings of the caller must not matter.
    elsewhere = {
        "GDA_DATABASE_URL": "postgresql+asyncpg://elsewhere/production",
        "PREFECT_API_URL": "http://elsewhere/api",
    }
    return {**os.environ, **elsewhere, "GDA_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}


@contextmanager
def running_demo(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        demo_command(*words),
        cwd=home.parent,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def descendants(home: Path) -> list[int]:
    """The supervised processes whose state lies in that folder."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            variables = (folder / "environ").read_bytes() if folder.name.isdigit() else b""
        except OSError:
            continue
        if f"{MARK}=".encode() in variables and f"GDA_HOME={home}".encode() in variables:
            found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


def demo_once(home: Path, *words: str) -> dict[str, Any]:
    with running_demo(home, "--once", "--json", *words) as process:
        out, err = process.communicate(timeout=DEMO_SECONDS)
    assert process.returncode == 0, err
    assert descendants(home / "demo") == []
    shown: dict[str, Any] = json.loads(out)
    return shown


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS + 60)
def test_the_demo_delivers_one_digest_to_each_sample_user_and_ends_by_itself(tmp_path: Path) -> None:
    shown = demo_once(tmp_path / "state")
    assert shown["users"] == shown["deployments"] == shown["delivered"] == 6
    assert (shown["duplicates"], shown["skipped"], shown["dead"]) == (0, 0, 0)
    assert shown["messages_in"] == shown["messages_listed"] == 52
    assert shown["placeholders"] == 0
    assert shown["server"].startswith("http://127.0.0.1:")
    assert shown["inbox"].endswith("/inbox")


@pytest.mark.slow
@pytest.mark.timeout(2 * DEMO_SECONDS)
def test_nasty_mail_of_ones_own_is_listed_whole_and_the_same_state_plays_again(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for name, raw in NASTY.items():
        (mail / f"{name}.eml").write_bytes(raw)
    home = tmp_path / "state"
    (home / "demo").mkdir(parents=True)
    (home / "demo" / "gda.db").write_bytes(b"left by an older demo")
    shown = demo_once(home, "--users", "2", "--mail", str(mail))
    assert (shown["users"], shown["delivered"], shown["dead"]) == (2, 2, 0)
    assert shown["messages_in"] == shown["messages_listed"] == 2 * len(NASTY)
    # Four have no subject or no sender: no-headers, empty, no-subject and no-sender.
    assert shown["placeholders"] >= 2 * 4


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS)
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_stopping_a_starting_demo_ends_every_child(tmp_path: Path, how: signal.Signals, code: int) -> None:
    home = tmp_path / "state"
    with running_demo(home, "--users", "1") as process:
        wait_for(lambda: len(descendants(home / "demo")) >= 2, 60)
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode == code
    wait_for(lambda: descendants(home / "demo") == [], 30)


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS + 60)
def test_without_once_the_demo_stays_and_serves_its_pages_until_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "state"
    with running_demo(home, "--users", "1") as process:
        assert process.stdout is not None
        shown = dict(line.split(maxsplit=1) for line in (process.stdout.readline() for _ in range(6)) if line.strip())
        assert shown["delivered"].startswith("1 of 1 digests")
        for address in (shown["inbox"].strip(), shown["Prefect"].strip()):
            with urllib.request.urlopen(address, timeout=20) as page:
                assert page.status == 200
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "gda trigger digest --user ada --extra --wait" in err
    assert descendants(home / "demo") == []
