"""The pages of docs/reference are those that the code makes now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loquela.cli.error_meanings import MEANINGS
from loquela.cli.main import COMMANDS
from loquela.cli.reference import FAMILIES, pages, write_pages
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.recipe.keys import recipe_keys

DIRECTORY = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", ["recipe.md", "cli.md", "errors.md"])
def test_pages_are_current(name: str) -> None:
    assert (DIRECTORY / name).read_text(encoding="utf-8") == pages()[name], (
        f"docs/reference/{name} is not current; run: python -m loquela.cli.reference"
    )


def test_nothing_is_left_out() -> None:
    made = pages()
    assert all(f"| `{key}` |" in made["recipe.md"] for key in recipe_keys())
    assert all(f"## loquela {name}\n" in made["cli.md"] for name in COMMANDS)
    assert "## loquela runs diff\n" in made["cli.md"]
    assert set(MEANINGS) == set(ErrorCode)
    assert set(FAMILIES) == set(LoquelaError.__subclasses__())


def test_pages_do_not_depend_on_the_terminal(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "loquela.cli.reference", str(tmp_path)],
        check=True,
        env={"COLUMNS": "40", "PATH": "/usr/bin:/bin", "LOQUELA__OUTPUT_DIRECTORY": "/elsewhere"},
    )
    assert (tmp_path / "cli.md").read_text(encoding="utf-8") == pages()["cli.md"]


def test_write_pages(tmp_path: Path) -> None:
    write_pages(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["cli.md", "errors.md", "recipe.md"]
