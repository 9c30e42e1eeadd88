"""How much text a recipe reads, before any of it is."""

from __future__ import annotations

from pathlib import Path

from loquela.recipe.schema import Recipe

STORIES = "builtin:stories"
STORY_PAIR_BYTES = 1958


def corpus_size(recipe: Recipe) -> tuple[float, str]:
    """Bytes of text: counted where the sources are local, else what the recipe expects; and which of the two."""
    total, counted = 0.0, True
    for entry in recipe.data.entries:
        path = Path(entry.address).expanduser()
        if entry.address == STORIES:
            total += recipe.data.stories * STORY_PAIR_BYTES
        elif path.is_file():
            total += path.stat().st_size
        elif path.is_dir():
            total += sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
        else:
            counted = False
    if not counted:
        return recipe.data.corpus_size_mb * 1e6, "corpus: data.corpus_size_mb, since a source is not on this machine"
    return total, "corpus: sizes of the local files and of the story generator's average pair"
