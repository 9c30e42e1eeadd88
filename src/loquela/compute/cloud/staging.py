"""Everything a run needs from this machine, in one folder: the recipe and copies of the local files that it names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.atomic import write_error, write_text
from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.dumping import dump_recipe
from loquela.recipe.origins import ResolvedRecipe
from loquela.recipe.schema import Recipe

RECIPE_NAME = "recipe.yaml"
INPUTS = "inputs"
OUTPUT = "data"

# Keys that name one file or folder here; those of lists stand in `_lists`.
SINGLE_KEYS = (
    ("finetune", "base"),
    ("examples", "template_file"),
    ("examples", "tokenizer"),
    ("tokenizer", "model_file"),
    ("model", "pretrained_path"),
)


def stage_inputs(resolved: ResolvedRecipe, work: Path) -> Recipe:
    """Fill `work` with `recipe.yaml` and `inputs/`; the recipe there names the copies and writes to `data/`.

    RecipeError(DATASET_NOT_FOUND) for a local path that holds nothing, ResourceError when the copy cannot be written.
    """
    tree: dict[str, JsonValue] = resolved.recipe.model_dump(mode="json")
    copier = _Copier(work)
    for section, key in SINGLE_KEYS:
        branch = tree.get(section)
        value = branch.get(key) if isinstance(branch, dict) else None
        if isinstance(branch, dict) and isinstance(value, str) and Path(value).expanduser().exists():
            branch[key] = copier.copy(Path(value).expanduser())
    examples, data = tree.get("examples"), tree.get("data")
    if isinstance(examples, dict):
        examples["sources"] = _lists(examples.get("sources"), copier.sources)
    if isinstance(data, dict) and (tree.get("finetune") is None or tree.get("qa") is not None):
        data["sources"] = _lists(data.get("sources"), copier.addresses)
    tree["output_directory"] = OUTPUT
    recipe = Recipe.model_validate(tree)
    write_text(work / RECIPE_NAME, dump_recipe(ResolvedRecipe(recipe=recipe, origins=resolved.origins)))
    return recipe


def _lists(value: JsonValue, change: Callable[[JsonValue], JsonValue]) -> JsonValue:
    return [change(item) for item in value] if isinstance(value, list) else value


class _Copier:
    """Copies each file or folder once, under a number, so that two of one name do not meet."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.count = 0

    def copy(self, path: Path) -> str:
        """Path of the copy, relative to the folder that is sent."""
        target = self.work / INPUTS / str(self.count) / path.name
        self.count += 1
        try:
            target.parent.mkdir(parents=True)
            if path.is_dir():
                shutil.copytree(path, target)
            else:
                shutil.copy2(path, target)
        except OSError as error:
            raise write_error(error, target) from error
        return target.relative_to(self.work).as_posix()

    def sources(self, item: JsonValue) -> JsonValue:
        """An entry of `examples.sources`: a file, a folder, or a glob of files."""
        path = Path(str(item)).expanduser()
        if path.exists():
            return self.copy(path)
        found = sorted(path.parent.glob(path.name)) if path.parent.is_dir() else []
        if not found:
            raise RecipeError(
                ErrorCode.DATASET_NOT_FOUND,
                f"examples.sources names {item}, and there is nothing on this machine that could be sent",
                "correct the path: a launched run has only what is sent with it",
            )
        folder = Path(self.copy(found[0])).parent
        for other in found[1:]:
            shutil.copy2(other, self.work / folder / other.name)
        return (folder / path.name).as_posix()

    def addresses(self, item: JsonValue) -> JsonValue:
        """An entry of `data.sources`: what is on this machine goes along, addresses stay."""
        written = item.get("address") if isinstance(item, dict) else item
        path = Path(str(written)).expanduser()
        if not path.exists():
            return item
        copied = self.copy(path)
        return {**item, "address": copied} if isinstance(item, dict) else copied
