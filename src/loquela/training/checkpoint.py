"""Saving without stopping, loading to the bit.

    save() ──► stage: copy tensors to host buffers ──► write folder, hash, fsync, rename ──► retire old ones
               └ a thread does both; the loop waits for the first before its next update, for the second never

A failed write is raised at the loop's next step. Only rank 0 saves. Order inside a save: `best/` first, then the
checkpoint whose state names it, so that no checkpoint ever speaks of a best model that is not there.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loquela.artifacts.checkpoints import (
    CONFIG_NAME,
    KIND,
    STATE_NAME,
    Found,
    checkpoint_directory,
    retire,
)
from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.folders import whole_folder
from loquela.artifacts.manifest import Manifest, corrupt, write_manifest
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.core.atomic import write_json, write_text
from loquela.core.errors import ErrorCode, LoquelaError, ProofError, ResourceError
from loquela.monitoring.events import Bus, trace
from loquela.training.contracts import CheckpointMetadata, ModelCheckpointerResult
from loquela.training.nonfinite import WINDOW_STEPS
from loquela.training.optimizers import OptimizerSet
from loquela.training.staging import Staging, first_not_finite, write_safetensors

BEST_DIRECTORY = "best"
FINAL_DIRECTORY = "final"
OPTIMIZER_PREFIX = "optimizer "

Tensors = dict[str, Tensor]
Export = Callable[[Path, Tensors], None]


@dataclass
class Saved:
    """What became of one save; `refused` names a tensor with a NaN or infinity, and then nothing was written."""

    state: TrainingCheckpoint
    is_best: bool
    manifest: Manifest | None = None
    refused: str | None = None
    retired: list[Path] = field(default_factory=list)
    seconds: float = 0.0


class Checkpointer:
    """Saves checkpoints of one run in the background.

    `export(directory, tensors)` fills a folder that people load (model files and tokenizer); `config` is the
    model's configuration as JSON; `keep` is how many newest checkpoints stay; `kind` and `final_name` are those of
    the folder that people load in the end. `pauses_seconds` lists how long each
    save has kept the loop waiting.
    """

    def __init__(
        self,
        run_directory: Path,
        config: dict[str, JsonValue],
        export: Export,
        *,
        keep: int,
        bus: Bus,
        kind: str = KIND,
        final_name: str = FINAL_DIRECTORY,
    ) -> None:
        self.run_directory = run_directory
        self.config = config
        self.export = export
        self.keep = keep
        self.bus = bus
        self.kind = kind
        self.final_name = final_name
        self.pauses_seconds: list[float] = []
        self.last_good: Path | None = None
        self._staging = Staging()
        self._staged = threading.Event()
        self._staged.set()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loquela-checkpoint")
        self._writing: Future[Saved] | None = None

    def save(self, model: Tensors, optimizer: Tensors, state: TrainingCheckpoint, *, is_best: bool = False) -> None:
        """Start saving. The tensors must not change before `wait_until_staged` has returned.

        Waits for the previous save to end; raises what that one failed with.
        """
        began = time.perf_counter()
        self.finish()
        trace(self.bus, "ModelCheckpointer", "checkpoint_start", step=state.step, reason=state.reason, best=is_best)
        self._staged.clear()
        self._writing = self._executor.submit(self._save, model, optimizer, state, is_best)
        self.pauses_seconds.append(time.perf_counter() - began)

    def reserve(self, model: Tensors, optimizer: Tensors) -> None:
        """Make the staging buffers in the background, so that the first save with moments finds them touched."""
        self._executor.submit(self._staging.reserve, staged_together(model, optimizer))

    def wait_until_staged(self) -> None:
        """Return when the tensors may change again."""
        if self._staged.is_set():
            return
        began = time.perf_counter()
        self._staged.wait()
        self.pauses_seconds[-1] += time.perf_counter() - began

    def failed(self) -> bool:
        """Whether a background write has failed and waits to be raised by `finish`."""
        return self._writing is not None and self._writing.done() and self._writing.exception() is not None

    def report(self) -> None:
        """Publish a save that has ended well since the last call; one that failed waits for `finish`."""
        if self._writing is not None and self._writing.done() and not self.failed():
            self.finish()

    def finish(self) -> None:
        """Wait until nothing is being written; publish the result or raise the failure.

        Raises ResourceError (DISK_FULL, WRITE_PERMISSION, WRITE_FAILED) naming the last good checkpoint;
        ProofError(NAN_DETECTED) when the final weights are not finite.
        """
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            saved = writing.result()
        except ResourceError as error:
            raise self._with_last_good(error) from error
        self._publish(saved)

    def close(self) -> None:
        """Wait for the thread; what a write failed with was reported or another error is already on its way."""
        self._executor.shutdown(wait=True)

    def write_final(self, model: Tensors, facts: dict[str, JsonValue], parents: dict[str, str]) -> Manifest:
        """Write the final folder, in the caller's thread; ProofError(NAN_DETECTED) for weights that are not finite."""
        refused = first_not_finite(model)
        if refused is not None:
            raise not_finite(refused, "final model")
        return self._export(self.final_name, model, facts, parents)

    def _save(self, model: Tensors, optimizer: Tensors, state: TrainingCheckpoint, is_best: bool) -> Saved:
        began = time.perf_counter()
        try:
            copies = self._staging.copy(staged_together(model, optimizer))
        finally:
            self._staged.set()
        weights = {name: copies[name] for name in model}
        moments = {name: copies[OPTIMIZER_PREFIX + name] for name in optimizer}
        saved = Saved(state, is_best, refused=first_not_finite(copies))
        if saved.refused is None:
            if is_best:
                facts: dict[str, JsonValue] = {"step": state.step, "validation_loss": _best_loss(state)}
                self._export(BEST_DIRECTORY, weights, facts, {})
            saved.manifest = self._write(weights, moments, state)
            saved.retired = retire(self.run_directory, self.keep, WINDOW_STEPS)
        saved.seconds = time.perf_counter() - began
        return saved

    def _write(self, weights: Tensors, moments: Tensors, state: TrainingCheckpoint) -> Manifest:
        place = checkpoint_directory(self.run_directory, state.step)
        state.checkpoint_path = place.relative_to(self.run_directory).as_posix()
        crash_point("before_folder")
        with whole_folder(place) as folder:
            write_safetensors(folder / state.model_state, weights)
            write_safetensors(folder / state.optimizer_state, moments)
            crash_point("after_tensors")
            write_text(folder / STATE_NAME, state.model_dump_json(indent=1) + "\n")
            write_json(folder / CONFIG_NAME, self.config)
            crash_point("before_manifest")
            return write_manifest(
                folder,
                KIND,
                facts={"step": state.step, "epoch": state.epoch, "version": state.version, "reason": state.reason},
            )

    def _export(self, name: str, weights: Tensors, facts: dict[str, JsonValue], parents: dict[str, str]) -> Manifest:
        with whole_folder(self.run_directory / name) as folder:
            self.export(folder, weights)
            return write_manifest(folder, self.kind, facts=facts, parents=parents)

    def _publish(self, saved: Saved) -> None:
        state = saved.state
        if saved.manifest is None:
            trace(self.bus, "ModelCheckpointer", "checkpoint_refused", step=state.step, tensor=saved.refused)
            if state.reason == "final":
                raise not_finite(saved.refused or "", f"checkpoint of step {state.step}")
            return
        place = self.run_directory / state.checkpoint_path
        self.last_good = place
        result = ModelCheckpointerResult(
            checkpoint_id=uuid.uuid5(uuid.NAMESPACE_URL, saved.manifest.digest),
            checkpoint_path=str(place),
            size_mb=sum(record.size_bytes for record in saved.manifest.files) / 1e6,
            metadata=CheckpointMetadata(
                step=state.step, metrics={"validation_loss": _best_loss(state)}, timestamp=datetime.now(UTC)
            ),
        )
        trace(self.bus, "ModelCheckpointer", "metadata_written", step=state.step, version=state.version)
        trace(
            self.bus,
            "ModelCheckpointer",
            "checkpoint_saved",
            **result.model_dump(mode="json"),
            strategy="best" if saved.is_best else "final" if state.reason == "final" else "periodic",
            seconds=round(saved.seconds, 4),
            retired=[str(folder) for folder in saved.retired],
        )
        trace(self.bus, "TrainingOrchestrator", "checkpoint_saved", step=state.step, reason=state.reason)

    def _with_last_good(self, error: ResourceError) -> ResourceError:
        kept = f"; the last good checkpoint is {self.last_good}" if self.last_good else "; no checkpoint is saved yet"
        return ResourceError(
            error.code,
            f"the checkpoint could not be written: {error.message}{kept}",
            error.remedy if error.code is not ErrorCode.DISK_FULL else f"{error.remedy} with --resume auto",
            retryable=True,
            details={**error.details, "last_good_checkpoint": str(self.last_good) if self.last_good else None},
        )


def staged_together(model: Tensors, optimizer: Tensors) -> Tensors:
    """Weights and optimizer state under names of their own."""
    return {**model, **{OPTIMIZER_PREFIX + name: value for name, value in optimizer.items()}}


def restore_model(found: Found) -> Tensors:
    """The weights of a verified checkpoint; DataError(CORRUPTION) when the file cannot be read."""
    return _load(found.directory, found.state.model_state)


def restore_optimizer(found: Found, optimizer: OptimizerSet) -> None:
    """Give the optimizer the state of a verified checkpoint, to the bit."""
    tensors = _load(found.directory, found.state.optimizer_state)
    if tensors:
        optimizer.load_state_tensors(tensors)


def not_finite(tensor: str, what: str) -> LoquelaError:
    """The error for weights that must not be kept."""
    return ProofError(
        ErrorCode.NAN_DETECTED,
        f"the {what} was not saved: {tensor} has a NaN or an infinity in it",
        "lower train.learning_rate or set train.gradient_clip_norm, and resume from the last good checkpoint",
        details={"tensor": tensor},
    )


def _load(directory: Path, name: str) -> Tensors:
    try:
        return load_file(directory / name)
    except (OSError, SafetensorError) as error:
        raise corrupt(directory, f"{name} cannot be read: {error}") from error


def _best_loss(state: TrainingCheckpoint) -> float | None:
    return state.best.validation_loss if state.best else None
