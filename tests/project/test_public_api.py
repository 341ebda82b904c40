"""What docs/job-types.md promises to other packages is what GDA's own kinds live on; what it quotes is there."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "job-types.md"
EXAMPLE = ROOT / "docs" / "example" / "acme_jobs"
OURS = ("gda", "flows", "deployments", "blocks")


def public_modules() -> set[str]:
    """The modules of the page's table."""
    table = PAGE.read_text(encoding="utf-8").partition("| module |")[2]
    first_columns = [line.split("|")[1] for line in table.splitlines()[1:] if line.startswith("|")]
    return {name for column in first_columns for name in re.findall(r"`([a-z_.]+)`", column)}


def quoted(language: str) -> list[tuple[str, str]]:
    """The page's blocks of a language that begin with the name of a file: name and text."""
    found = re.findall(rf"```{language}\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [(str(name), str(text)) for name, text in found]


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of everything imported, the name empty for a whole module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or ".", alias.name) for alias in node.names)


def private_imports(source: str, public: set[str], *, within: str = "acme_jobs") -> list[str]:
    """What of GDA a source imports that is not public."""
    ours = [(module, name) for module, name in imports(source) if module.partition(".")[0] in OURS]
    return [
        f"{module} {name}".strip()
        for module, name in ours
        if not (module in public or f"{module}.{name}" in public or f"{module}.".startswith(f"{within}."))
        or name.startswith("_")
    ]


@pytest.mark.parametrize("folder", [ROOT / "gda" / "jobs", EXAMPLE], ids=["own-kinds", "example"])
def test_kinds_import_only_what_is_public(folder: Path) -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    public = public_modules()
    found = {name: private_imports(source, public, within="gda.jobs") for name, source in sources.items()}
    assert len(sources) > 3
    assert {name: private for name, private in found.items() if private} == {}


def test_a_private_import_is_found() -> None:
    source = "from gda.store.tables import occurrences\nimport gda.runner\nfrom gda.job import Job, _x\nimport httpx"
    assert private_imports(source, {"gda.store", "gda.job"}) == [
        "gda.store.tables occurrences",
        "gda.runner",
        "gda.job _x",
    ]


def test_every_public_module_can_be_imported() -> None:
    modules = public_modules()
    assert "gda.declare" in modules
    for name in modules:
        importlib.import_module(name)


def test_the_page_quotes_the_example_as_it_is() -> None:
    blocks = [*quoted("python"), *quoted("toml")]
    own = [(name, text) for name, text in blocks if (EXAMPLE / name).exists()]
    assert {name for name, _ in blocks} - {name for name, _ in own} == {"acme_stock.py"}
    assert [name for name, text in own if text not in (EXAMPLE / name).read_text(encoding="utf-8")] == []


def test_importing_gda_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import gda; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["gda"]


def test_declaring_a_kind_needs_neither_prefect_nor_a_database_driver() -> None:
    code = "import sys, gda.declare, gda.registry; print({'prefect', 'sqlalchemy', 'alembic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
