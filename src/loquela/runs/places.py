"""Where the artifacts that a run used lie now."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.corpus import DOCUMENTS_NAME
from loquela.core.errors import DataError, ErrorCode
from loquela.recipe.schema import Recipe
from loquela.runs.cache import stage_settings
from loquela.runs.manifest import StageRecord, load_run_manifest
from loquela.runs.store import RunStore
from loquela.stages import STAGES, stage_named


def place_of(run_directory: Path, record: StageRecord) -> Path:
    """The folder of what a stage made: beside the run, wherever both were moved to, else where it was made."""
    beside = run_directory.absolute().parents[1] / "artifacts" / stage_named(record.stage).makes / record.key
    return beside if beside.is_dir() else Path(record.directory)


def artifact_of(run_directory: Path, stage: str) -> Path:
    """The folder of what `stage` made for a run; DataError(DATASET_NOT_FOUND) when it made nothing yet."""
    record = load_run_manifest(run_directory).stages.get(stage)
    if record is None:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"run {run_directory.name} has no {stage_named(stage).makes} yet",
            "prepare it: loquela prepare-data RECIPE --resume auto",
            details={"run": run_directory.name, "stage": stage},
        )
    return place_of(run_directory, record)


def corpus_folder(reference: str, output_directory: Path) -> Path:
    """A corpus given by its own folder, or by a run (id, prefix, path, latest)."""
    folder = Path(reference).expanduser()
    if (folder / DOCUMENTS_NAME).is_file():
        return folder
    return artifact_of(RunStore(output_directory).open(reference), "ingest")


def prepared_run(recipe: Path, resolved: Recipe) -> Path:
    """The newest run whose data was prepared with the settings of `resolved`, the recipe in the file `recipe`.

    Raises DataError(DATASET_NOT_FOUND) when there is none.
    """
    upto = STAGES[: STAGES.index(stage_named("prepare")) + 1]
    wanted = [stage_settings(resolved, stage) for stage in upto]
    store = RunStore(resolved.output_directory)
    for directory in store.directories():
        try:
            manifest = load_run_manifest(directory)
        except DataError:  # a damaged run is none to look for
            continue
        if "prepare" in manifest.stages and [stage_settings(manifest.recipe, stage) for stage in upto] == wanted:
            return directory
    raise DataError(
        ErrorCode.DATASET_NOT_FOUND,
        f"no run in {store.root} has prepared the data of {recipe} with these settings",
        f"prepare it: loquela prepare-data {recipe}",
        details={"recipe": str(recipe)},
    )
