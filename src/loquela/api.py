"""Loquela from Python and from a notebook.

import loquela
run = loquela.run("recipe.yaml", {"train.epochs": 2})
run.metrics.final_metrics.best_epoch
run.generate("Once upon a time")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from loquela.artifacts.training_records import TrainingMetrics
from loquela.core.errors import DataError, ErrorCode
from loquela.monitoring.display import ProgressDisplay
from loquela.monitoring.events import Listener
from loquela.recipe.loading import complete_recipe, load_recipe
from loquela.recipe.schema import Recipe
from loquela.runs.execution import execute
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest
from loquela.runs.status import PipelineStatus, load_status
from loquela.runs.store import RunStore
from loquela.runs.stored.local_copy import local_model_folder

if TYPE_CHECKING:
    from loquela.inference.engine import Engine


class Run:
    """A run on disk, opened for reading; nothing here changes it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.status.current_phase})"

    @property
    def id(self) -> str:
        """The run's id: the name of its folder."""
        return self.directory.name

    @property
    def status(self) -> PipelineStatus:
        """Where the pipeline is, read anew."""
        return load_status(self.directory)

    @property
    def manifest(self) -> TrainingRunManifest:
        """Recipe, digests, versions, hardware, outcome."""
        return load_run_manifest(self.directory)

    @property
    def metrics(self) -> TrainingMetrics:
        """Loss by epoch and the final numbers; DataError(DATASET_NOT_FOUND) before the first epoch ended."""
        path = self.directory / "training_metrics.json"
        if not path.is_file():
            raise DataError(
                ErrorCode.DATASET_NOT_FOUND,
                f"run {self.id} has no training_metrics.json: no epoch has ended yet",
                "wait for the first epoch, or resume the run",
            )
        return TrainingMetrics.model_validate_json(path.read_bytes())

    @property
    def checkpoint(self) -> Path:
        """The folder of the best model so far (Hugging Face layout); DataError when there is none.

        A run that a service has cleaned is brought back from its store; errors as `local_model_folder`.
        """
        local_model_folder(self.directory)
        for name in ("best", "final"):
            if (self.directory / name / "config.json").is_file():
                return self.directory / name
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"run {self.id} has no model yet",
            "let the training stage finish: loquela train RECIPE --resume auto",
        )

    @cached_property
    def engine(self) -> Engine:
        """The best model with its tokenizer, loaded once."""
        from loquela.inference.open import open_engine

        return open_engine(self.checkpoint)

    def generate(
        self,
        prompt: str,
        *,
        max_new_tokens: int = 60,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """Continue `prompt`; the same seed gives the same text."""
        from loquela.inference.contracts import GenerateRequest

        request = GenerateRequest(
            prompt_text=prompt,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )
        return self.engine.generate(request).outputs[0]

    def _repr_png_(self) -> bytes | None:
        """The loss curve, where a notebook shows the run."""
        path = self.directory / "loss.png"
        return path.read_bytes() if path.is_file() else None


def run(
    recipe: str | Path | Recipe,
    overrides: Mapping[str, JsonValue] | None = None,
    *,
    resume: str = "never",
    until: str | None = None,
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
) -> Run:
    """Execute a recipe (a file, or a `Recipe`) and open the run it made.

    `overrides` maps dotted keys to values; `resume` is "never", "auto" or a run id or path; `until` is the
    stage to stop after, None for the whole recipe. Raises the
    LoquelaError that stopped it; the run's folder then says why.
    """
    if isinstance(recipe, Recipe):
        resolved = complete_recipe(recipe, overrides or {}, os.environ)
    else:
        resolved = load_recipe(Path(recipe), overrides or {}, os.environ)
    if quiet:
        record = execute(resolved, resume=resume, until=until, listeners=listeners)
    else:
        with ProgressDisplay() as display:
            record = execute(resolved, resume=resume, until=until, listeners=[display, *listeners])
    return Run(record.directory)


def open_run(reference: str | Path, output_directory: str | Path = "./data/") -> Run:
    """Open a run by path, id, unambiguous prefix of an id, or "latest"."""
    return Run(RunStore(Path(output_directory)).open(reference))
