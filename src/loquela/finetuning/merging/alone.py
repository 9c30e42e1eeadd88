"""A merge outside a run: which base, which rows and which limits belong to an adapter that was given by its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.adapter import open_adapter
from loquela.artifacts.manifest import Manifest, verify
from loquela.artifacts.merge_report import KIND
from loquela.compute.devices import find_device
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.finetuning.merging.merge import Merge
from loquela.finetuning.merging.prompts import prompts_for
from loquela.models.pretrained.adapted import QUANTIZATION_FACT, base_of, recorded_quantization
from loquela.models.pretrained.open import open_base
from loquela.monitoring.events import Bus
from loquela.recipe.finetune_section import MergeOptions


@dataclass(frozen=True)
class AdapterPlace:
    """An adapter, with what its run knows of it where it lies in one; `base` and `examples` are folders."""

    adapter: Path
    place: Path
    base: Path | None = None
    examples: Path | None = None
    options: MergeOptions | None = None


def merge_adapter(given: AdapterPlace, bus: Bus) -> tuple[Manifest, bool]:
    """Merge, unless `given.place` already is this merge, whole; the manifest, and whether it was there before.

    Raises DataError as of `open_adapter` and `open_base`, RecipeError(CONFIG_INVALID) for a place that holds something
    else, and what `Merge.run` raises.
    """
    adapter = open_adapter(given.adapter)
    base = base_of(given.adapter) if given.base is None else open_base(given.base)
    options = given.options or MergeOptions()
    _check_place(given.place)
    merge = Merge(
        base=base,
        adapter=adapter,
        place=given.place,
        prompts=prompts_for(base, given.examples, options.prompts),
        options=options,
        quantization=recorded_quantization(given.adapter, adapter.manifest.facts.get(QUANTIZATION_FACT)),
        parents=adapter.lineage,
        bus=bus,
        device=find_device("auto")[0],
    )
    before = _same(merge)
    return (before, True) if before is not None else (merge.run(), False)


def _same(merge: Merge) -> Manifest | None:
    try:
        found = verify(merge.place, KIND)
    except DataError:
        return None
    same = found.parents == merge.parents and found.settings == merge.settings
    return found if same else None


def _check_place(place: Path) -> None:
    """A folder that is no merged model is never replaced."""
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    try:
        verify(place, KIND)
    except DataError as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{place} exists and is no merged model that is whole: it would be replaced",
            "choose another folder with --output, or remove that one",
        ) from error
