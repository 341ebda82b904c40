"""Children live no longer than whoever started them, whatever ends it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gda.cli.processes import MARK, Children, bare_environment, free_ports, require_free, stopping_on_sigterm
from gda.cli.watchdog import marked
from gda.errors import Unavailable

ROOT = Path(__file__).parents[2]
SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(120)"]
DEAF = [
    *(sys.executable, "-S", "-c"),
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(120)",
]
ESCAPEE = [
    *(sys.executable, "-S", "-c"),
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(120)'], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(120)",
]


def environment() -> dict[str, str]:
    return bare_environment()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() != b""
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


async def test_leaving_the_context_ends_every_child(tmp_path: Path) -> None:
    async with Children(tmp_path) as children:
        first = await children.start("first", SLEEPER, environment())
        second = await children.start("second", SLEEPER, environment())
        assert alive(first.process.pid)
    assert (first.process.returncode, second.process.returncode) == (-signal.SIGTERM, -signal.SIGTERM)


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with Children(tmp_path, grace=0.2) as children:
        child = await children.start("deaf", DEAF, environment())
        await asyncio.to_thread(wait_for, lambda: "deaf" in child.last_lines())
    assert child.process.returncode == -signal.SIGKILL


async def test_a_grandchild_in_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    async with Children(tmp_path) as children:
        child = await children.start("worker", ESCAPEE, environment())
        await asyncio.to_thread(wait_for, lambda: child.last_lines() != "")
        grandchild = int(child.last_lines())
        assert alive(grandchild)
    assert not alive(grandchild)


async def test_an_error_in_the_block_ends_the_children_and_goes_on(tmp_path: Path) -> None:
    children = Children(tmp_path)

    async def work() -> None:
        async with children:
            await children.start("sleeper", SLEEPER, environment())
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await work()
    assert marked(children.mark) == []


async def test_a_child_gets_exactly_the_environment_that_was_said_and_its_mark(tmp_path: Path) -> None:
    show = [sys.executable, "-I", "-S", "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    async with Children(tmp_path) as children:
        child = await children.start("show", show, {"GDA_HOME": "here", "LC_CTYPE": "C.UTF-8"})
        await child.process.wait()
    found = json.loads(child.last_lines())
    assert found.pop(MARK)
    assert found == {"GDA_HOME": "here", "LC_CTYPE": "C.UTF-8"}


def test_the_bare_environment_holds_nothing_of_gda_and_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDA_DATABASE_URL", "postgresql://elsewhere/production")
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert [name for name in bare_environment() if name.startswith(("GDA_", "PREFECT_"))] == []
    assert "PATH" in bare_environment()


async def test_a_child_that_dies_early_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    dying = [sys.executable, "-S", "-c", "print('no room on the disk'); raise SystemExit(3)"]

    async def never() -> bool:
        return False

    async with Children(tmp_path) as children:
        await children.start("server", dying, environment())
        with pytest.raises(Unavailable, match=r"(?s)the server ended by itself with code 3; .*no room on the disk"):
            await children.until(never, what="the server", limit=30)


async def test_waiting_for_health_has_a_time_limit(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Children(tmp_path) as children:
        await children.start("server", SLEEPER, environment())
        with pytest.raises(Unavailable, match=r"the server did not get ready within 0\.3 s"):
            await children.until(never, what="the server", limit=0.3)


async def test_work_alongside_living_children_gives_its_result(tmp_path: Path) -> None:
    async def work() -> str:
        return "done"

    async with Children(tmp_path) as children:
        await children.start("sleeper", SLEEPER, environment())
        assert await children.alongside(work()) == "done"


PARENT = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from gda.cli.processes import Children, bare_environment, stopping_on_sigterm

    async def main():
        with stopping_on_sigterm():
            async with Children(Path(sys.argv[1])) as children:
                child = await children.start("worker", [sys.executable, "-S", "-c", sys.argv[2]], bare_environment())
                print(children.mark, flush=True)
                await asyncio.sleep(120)

    asyncio.run(main())
    """
)


@pytest.mark.parametrize(
    ("how", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)],
)
def test_no_descendant_survives_a_signal_to_the_parent(tmp_path: Path, how: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), ESCAPEE[-1]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        mark = parent.stdout.readline().strip()
        wait_for(lambda: len(marked(mark)) == 2)
        parent.send_signal(how)
        assert parent.wait(20) == code
    wait_for(lambda: marked(mark) == [])


async def test_sigterm_runs_the_clean_up_of_the_running_task() -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        with stopping_on_sigterm():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
            finally:
                cleaned.set()

    with pytest.raises(SystemExit) as stopped:
        await work()
    assert stopped.value.code == 143
    assert cleaned.is_set()


def test_free_ports_are_different_and_can_be_bound() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
    for port in ports:
        require_free(port, "--port")


def test_a_port_in_use_is_named_with_its_option_and_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"--smtp-port {port} cannot be used: .*choose another port"):
            require_free(port, "--smtp-port")


def test_a_number_that_is_no_port_is_refused() -> None:
    with pytest.raises(Unavailable, match="a port is a number from 1 to 65535"):
        require_free(99999, "--port")
