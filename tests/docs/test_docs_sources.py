"""Every recipe on the pages of sources and credentials is one that loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loquela.recipe.loading import load_recipe

DOCS = Path(__file__).parents[2] / "docs"
RECIPES = [
    (page, body)
    for page in ("sources.md", "credentials.md")
    for body in re.findall(r"^```yaml\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize(("page", "body"), RECIPES, ids=lambda value: value if value.endswith(".md") else "")
def test_recipes_of_the_pages_load(page: str, body: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(body, encoding="utf-8")
    resolved = load_recipe(tmp_path / "recipe.yaml")
    assert resolved.recipe.data.entries


def test_every_kind_of_remote_source_has_an_example() -> None:
    written = "\n".join(body for _, body in RECIPES)
    for options in ("database:", "api:", "web:", "huggingface:", "objects:", "credential:"):
        assert options in written
