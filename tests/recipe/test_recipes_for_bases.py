"""The recipes for real models: each holds, names a base whose shape is known, and fits where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loquela.finetuning.planning.base_shape import known_bases
from loquela.finetuning.planning.plan import fits, memory_for
from loquela.finetuning.planning.rows import RowFacts
from loquela.finetuning.planning.shape import shape_of
from loquela.models.pretrained.sources import source_of
from loquela.recipe.loading import load_recipe

FOLDER = Path(__file__).parents[2] / "recipes" / "finetune"
RECIPES = sorted(FOLDER.glob("*.yaml"))


def test_each_family_has_one() -> None:
    names = " ".join(path.stem for path in RECIPES)
    assert [
        family for family in ("llama-3", "qwen2.5", "qwen3", "mistral", "olmo", "smollm") if family not in names
    ] == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_for_a_base_holds_and_fits_where_it_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    recipe = load_recipe(path).recipe
    assert recipe.name == path.stem
    assert recipe.finetune is not None and recipe.examples is not None
    base = recipe.finetune.base
    assert source_of(base).kind in ("hub", "package")
    longest = recipe.examples.max_tokens
    assert longest is not None
    rows = RowFacts(
        rows=1000,
        tokens=1000 * longest,
        trained_tokens=500 * longest,
        longest=longest,
        mean_longest=float(longest),
        counted=False,
        said="",
    )
    shape = shape_of(known_bases()[base], base)
    promised = re.search(r"Needs a GPU of (\d+) GB", text)
    if promised is None:
        assert memory_for(recipe, shape, rows, "cpu").total < 8 * 2**30
    else:
        assert fits(memory_for(recipe, shape, rows, "cuda"), float(promised[1]))
    assert f"loquela run recipes/finetune/{path.name}" in text
