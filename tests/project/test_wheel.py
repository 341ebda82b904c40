"""The wheel holds all that an installed GDA reads, and nothing of the tests and measurements."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gda", "flows", "deployments", "blocks")
DATA = {
    "deployments/prefect.yaml",
    "gda/py.typed",
    "gda/digest/templates/digest.css",
    "gda/digest/templates/digest.html.j2",
    "gda/digest/templates/digest.txt.j2",
    "gda/sandbox/templates/inbox.html",
    "gda/sandbox/templates/message.html",
    "gda/sandbox/templates/style.css",
    "gda/store/migrations/NOTES.md",
    "gda/store/migrations/env.py",
    "gda/store/migrations/versions/v0001_ledger.py",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this clone with the locked build back end: nothing is fetched."""
    folder: Path = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert wanted - names(wheel) == set()


def test_the_data_that_code_opens_by_name_is_in_the_wheel(wheel: Path) -> None:
    from gda.cli.demo.people import SAMPLE_PEOPLE

    assert DATA - names(wheel) == set()
    for person in SAMPLE_PEOPLE:
        assert [name for name in names(wheel) if name.startswith(f"gda/sandbox/samples/{person.samples}/")], person


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert [name for name in names(wheel) if name.endswith((".pyc", ".env", ".db"))] == []


def test_an_unpacked_wheel_finds_its_system_jobs_and_its_command(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(installed)
    code = "from deployments.system import find_file; import gda.cli; print(find_file(), gda.cli.__file__)"
    done = subprocess.run(
        # -P and the path in front: this clone, which .venv points to, must not be what answers.
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {code}"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [
        str(installed / "deployments" / "prefect.yaml"),
        str(installed / "gda" / "cli" / "__init__.py"),
    ], done.stderr
    assert (installed / "deployments" / "prefect.yaml").read_bytes() == (ROOT / "prefect.yaml").read_bytes()


def test_the_command_is_among_the_entry_points(wheel: Path) -> None:
    [listing] = [name for name in names(wheel) if name.endswith("entry_points.txt")]
    assert "gda = gda.cli:main" in zipfile.ZipFile(wheel).read(listing).decode().splitlines()
