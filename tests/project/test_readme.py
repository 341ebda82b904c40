"""What the README prints can be typed."""

import re
import shlex
from pathlib import Path

from gda.cli import main

README = Path(__file__).parents[2] / "README.md"


def typed_commands() -> list[str]:
    """The lines behind a dollar sign, in order."""
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_tour_works_as_printed(gda_home, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for command in typed_commands():
        words = shlex.split(command)
        assert words[0] == "gda"
        assert main(words[1:]) == 0, f"{command}: {capsys.readouterr().err}"

    assert "2026-03-08T03:30" in capsys.readouterr().out


def test_every_file_that_the_readme_links_to_is_there():
    text = README.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]

    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
