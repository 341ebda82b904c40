"""The house rules that no linter checks, read from the files that are committed."""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gda", "flows", "deployments", "blocks", "bench")
FILE_LINES = 300
BODY_LINES = 40
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}

# Spelled so that this file does not find itself.
MACHINE_PATHS = re.compile(
    r"/roo[t]/|/hom[e]/\w|/User[s]/\w|/opt/(?:tool[s]|wheel[s])\b|/wor[k]/(?:mai[n]|share[d]|pla[n])\b"
)
INDEX_ADDRESSES = re.compile(r"https?://\S*/simpl[e]\b|(?<!no-emit-)(?<!emit-)index-ur[l]|pythonhoste[d]\.org")


@cache
def committed_files() -> tuple[Path, ...]:
    """All files git knows; outside a git checkout (an unpacked archive) all files but hidden and built ones."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        files = [ROOT / name for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        hidden = {".venv", ".git", ".gda", "__pycache__", "build", "dist"}
        files = [file for file in ROOT.rglob("*") if not hidden.intersection(file.relative_to(ROOT).parts)]
    return tuple(file for file in files if file.is_file())


def modules() -> list[Path]:
    """The Python files of the packages; migrations are records of the past and grow as the schema does."""
    files = [file for file in committed_files() if file.suffix == ".py"]
    return [file for file in files if within(file)[0] in PACKAGES and "migrations" not in within(file)]


def within(file: Path) -> tuple[str, ...]:
    return file.relative_to(ROOT).parts


def text_of(file: Path) -> str:
    """The file's text; empty for what is not text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def long_files(sources: dict[str, str]) -> list[str]:
    counted = {name: len(source.splitlines()) for name, source in sources.items()}
    return [f"{name}: {lines} lines" for name, lines in counted.items() if lines > FILE_LINES]


def long_functions(sources: dict[str, str]) -> list[str]:
    found = (
        (name, function, body_lines(function)) for name, source in sources.items() for function in functions(source)
    )
    return [
        f"{name}:{function.lineno} {function.name}: {lines} lines"
        for name, function, lines in found
        if lines > BODY_LINES
    ]


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def lines_matching(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{'/'.join(within(file))}:{number}: {line.strip()[:120]}"
        for file in files
        for number, line in enumerate(text_of(file).splitlines(), 1)
        if pattern.search(line)
    ]


def sources() -> dict[str, str]:
    return {"/".join(within(file)): text_of(file) for file in modules()}


def lock_entries(lock: str) -> dict[str, str]:
    """Each pin of the lock with the text up to the next pin."""
    blocks = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    return {block.split()[0]: block for block in blocks if block.strip()}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def make_commands(text: str) -> set[str]:
    """The targets of ``make`` commands in a document: at the start of a code line, or in backticks."""
    return set(re.findall(r"(?:^(?:\$ )?|`|&& )make ([a-z][a-z-]*)", text, flags=re.MULTILINE))


def exporting_packages() -> list[str]:
    files = [file for file in modules() if file.name == "__init__.py" and "__all__" in text_of(file)]
    return sorted(".".join(within(file)[:-1]) for file in files)


def test_no_module_is_longer_than_300_lines() -> None:
    assert long_files(sources()) == []


def test_no_function_body_is_longer_than_40_lines() -> None:
    assert long_functions(sources()) == []


def test_every_module_has_a_name_that_says_what_it_is_for() -> None:
    assert [file for file in modules() if VAGUE_NAMES.intersection((*within(file)[:-1], file.stem))] == []


def test_no_committed_file_names_a_path_of_one_machine() -> None:
    # An image has a home of its own, the same wherever it runs.
    files = [file for file in committed_files() if within(file)[0] != "docker"]
    assert lines_matching(MACHINE_PATHS, files) == []


def test_no_committed_file_names_a_package_index() -> None:
    assert lines_matching(INDEX_ADDRESSES, list(committed_files())) == []


def test_the_lock_holds_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_every_pin_of_the_lock_carries_a_hash() -> None:
    entries = lock_entries((ROOT / "requirements.lock").read_text())
    assert len(entries) > 100
    assert [pin for pin, entry in entries.items() if "--hash=sha256:" not in entry] == []


def test_no_lock_that_carries_index_addresses_is_committed() -> None:
    assert [file for file in committed_files() if file.name in {"uv.lock", "pylock.toml", "poetry.lock"}] == []


def test_the_top_level_holds_only_what_the_design_names() -> None:
    named = {"gda", "flows", "deployments", "blocks", "tests", "docker", "docs", "bench", "Makefile", "LICENSE"}
    named |= {"pyproject.toml", "prefect.yaml", "requirements.lock"}
    named |= {"README.md", "DECISIONS.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    names = {within(file)[0] for file in committed_files()}
    assert {name for name in names if not name.startswith(".")} <= named


def test_every_name_a_package_exports_exists() -> None:
    exported = {package: importlib.import_module(package) for package in exporting_packages()}
    missing = [
        f"{name}.{one}" for name, module in exported.items() for one in module.__all__ if not hasattr(module, one)
    ]
    assert missing == []


def test_every_make_command_in_the_documents_exists() -> None:
    documents = [file for file in committed_files() if file.suffix == ".md"]
    asked = {target for file in documents for target in make_commands(text_of(file))}
    assert "test" in asked
    assert asked - make_targets() == set()


def test_a_readme_is_also_the_description_of_the_package() -> None:
    declared = 'readme = "README.md"' in (ROOT / "pyproject.toml").read_text()
    assert declared == (ROOT / "README.md").exists(), 'pyproject.toml: add or remove readme = "README.md" in [project]'


def test_a_function_of_41_lines_and_a_file_of_301_are_found() -> None:
    body = "def f():\n    '''Docstrings do not count.'''\n" + "    x = 1\n" * (BODY_LINES + 1)
    assert long_functions({"f.py": body}) == ["f.py:1 f: 41 lines"]
    assert long_files({"f.py": "x = 1\n" * (FILE_LINES + 1)}) == ["f.py: 301 lines"]


@pytest.mark.parametrize(
    "line", ["/".join(("", "home", "me", "x")), "/".join(("see ", "Users", "me")), "/".join(("", "root", "x"))]
)
def test_a_machine_path_is_recognised(line: str) -> None:
    assert MACHINE_PATHS.search(line)


@pytest.mark.parametrize(
    "line",
    ["--index-" + "url x", "PIP_EXTRA_INDEX_URL=".lower().replace("_", "-") + "x", "https://a.example/" + "simple"],
)
def test_an_index_address_is_recognised_and_the_switch_against_it_is_not(line: str) -> None:
    assert INDEX_ADDRESSES.search(line)
    assert not INDEX_ADDRESSES.search("--no-emit-index-" + "url")
