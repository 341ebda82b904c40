"""docs/job-types.md, typed as it stands: a stranger's package is installed, deployed and performed by a real worker."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from deployments.kinds import load_kinds
from deployments.spec import user_deployments
from gda.lifecycle import Status
from gda.registry import Registry
from gda.settings import Settings
from gda.store import Wish, open_store
from tests.builders import a_store
from tests.support.prefect_server import PrefectServer, running_worker

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "job-types.md"
EXAMPLE = "docs/example/acme_jobs"
GDA = [sys.executable, "-c", "import sys; from gda.cli import main; sys.exit(main())"]
# `make setup` makes a .venv without pip where uv is there to install into it.
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
UV = ["uv", "pip", "install", "--python", sys.executable]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example was installed as any package is, with nothing fetched."""
    folder: Path = tmp_path_factory.mktemp("installed")
    how = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(folder)]
    command = [*(PIP if find_spec("pip") else UV), *how, str(ROOT / EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@dataclass(frozen=True, slots=True)
class Shell:
    """Where somebody follows the page: a folder elsewhere, the package installed, a Prefect server."""

    folder: Path
    environment: dict[str, str]

    async def __call__(self, command: str) -> str:
        """Run a command of the page and return what it prints."""
        first, *words = shlex.split(command)
        # What is installed is what answers, wherever the tests were started.
        words = [str(ROOT / word) if word.startswith(EXAMPLE) else word for word in words]
        program = {"gda": GDA, "python": [sys.executable, "-P"]}[first]
        child = await asyncio.create_subprocess_exec(
            *program,
            *words,
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await child.communicate()
        assert child.returncode == 0, f"{command}: {out.decode()}{errors.decode()}"
        return out.decode()


def commands() -> list[str]:
    """What the page says to type, in order, but for the installation."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    typed = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert typed[0] == f"pip install {EXAMPLE}"
    return typed[1:]


def a_shell(server: PrefectServer, installed: Path, folder: Path) -> Shell:
    """A shell in ``folder``, with a database and an outbox there."""
    environment = server.environment(
        GDA_HOME=str(folder / "home"),
        GDA_DATABASE_URL=f"sqlite+aiosqlite:///{folder}/gda.db",
        ACME_OUTBOX=str(folder / "outbox"),
        PYTHONPATH=os.pathsep.join([str(installed), str(ROOT)]),
    )
    return Shell(folder, environment)


async def settled(folder: Path, kind: str) -> list[tuple[str, str, str | None]]:
    """Status, reason and who woke for each occurrence of a kind, once nothing of it waits any more."""
    async with open_store(Settings(database_url=f"sqlite+aiosqlite:///{folder}/gda.db")) as store:
        for _ in range(900):
            rows = await store.history.list(kind=kind)
            if rows and all(row.finished_at for row in rows):
                return [(row.status, row.reason, row.woken_by) for row in rows]
            await asyncio.sleep(0.1)
    raise AssertionError(f"{kind} still waits: {rows}")


async def test_the_page_works_as_printed(prefect_server: PrefectServer, installed: Path, tmp_path: Path) -> None:
    shell = a_shell(prefect_server, installed, tmp_path)
    typed = commands()
    ready = typed.index("gda apply") + 1
    for command in typed[:ready]:
        await shell(command)
    async with prefect_server.client() as client:
        deployment = await client.read_deployment_by_name("run-job/sales-report:ada")
    async with running_worker(
        prefect_server, "gda", home=tmp_path / "worker", name="acme", environment=shell.environment
    ):
        said = [await shell(command) for command in typed[ready:]]
        report, invoice = await settled(tmp_path, "sales-report"), await settled(tmp_path, "invoice")
        again = await shell("gda trigger sales-report --user ada --wait")
    await prefect_server.emptied()

    assert (deployment.entrypoint, deployment.pull_steps or []) == ("flows.run_job.run_job", [])
    assert deployment.parameters == {"kind": "sales-report", "user": "ada"}
    [schedule] = deployment.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("30 7 * * *", "Europe/London")
    assert "Completed: 1 done" in said[0]
    assert report == [(Status.DONE, "1 page", "hand")]
    assert invoice == [(Status.DONE, "invoice 8", "enqueue")]
    assert "was already settled by occurrence" in again
    papers = sorted(paper.name for paper in (tmp_path / "outbox").iterdir())
    assert [re.sub(r"\d{4}-\d\d-\d\d", "DAY", name) for name in papers] == ["invoice-8.txt", "report-ada-DAYT07:30.txt"]


async def test_a_kind_with_a_flow_of_its_own_gets_deployments_of_that_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [text] = re.findall(r"```python\n# acme_stock.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "acme_stock.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import acme_stock  # type: ignore[import-not-found]

    registry = Registry()
    registry.register(acme_stock.stock_count)
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await store.users.add("ada@example.org", timezone="UTC")
        await store.schedules.set(Wish("ada", "inventory", "daily 07:30"))
        [spec] = user_deployments(await store.schedules.all(), load_kinds(registry), Settings())

    assert (spec.title, spec.entrypoint) == ("stock-count/ada", "acme_stock.count_stock")
    assert spec.parameters == {"user": "ada"}
    assert set(spec.parameter_schema["properties"]) == {"user", "at", "extra"}


def test_a_package_whose_flow_or_module_is_broken_takes_nobody_elses_deployments_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('secret')")
    monkeypatch.syspath_prepend(tmp_path)
    from gda.declare import job_type

    registry = Registry()
    registry.register(job_type(kind="broken", flow="acme_broken.deliver")(lambda job: None))
    registry.register(job_type(kind="whole")(lambda job: None))

    assert set(load_kinds(registry)) == {"whole"}
    assert "kind broken gets no deployments" in caplog.text
    assert "secret" not in caplog.text
