"""One execution path for every caller: check, choose or make the run, walk the stage table, record what happened."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult, StopRequest
from loquela.artifacts.manifest import Manifest, read_manifest, verify, write_manifest
from loquela.artifacts.proof import Proof
from loquela.compute.plan import Plan
from loquela.core.atomic import write_json
from loquela.core.entry import resolve
from loquela.core.errors import DataError, ErrorCode, Interrupted, LoquelaError, RecipeError
from loquela.core.model import BoundaryModel
from loquela.monitoring.events import Listener
from loquela.recipe.loading import ResolvedRecipe
from loquela.recipe.schema import Recipe
from loquela.runs.book import Rebuilt, RunBook
from loquela.runs.cache import ArtifactCache, stage_key, stage_settings
from loquela.runs.data_changes import Fingerprint, changes_since, settings_changes, source_changes
from loquela.runs.folder import copy_artifact, write_ledger
from loquela.runs.lock import RunLock
from loquela.runs.manifest import StageRecord, TrainingRunManifest
from loquela.runs.plan import plan_run
from loquela.runs.prerequisites import check_prerequisites, fit_to_device
from loquela.runs.resume import Ask, choose_run, has_checkpoints
from loquela.runs.seal import write_seal
from loquela.runs.signals import stop_on_signals
from loquela.runs.status import Phase, PipelineStatus
from loquela.runs.store import RunStore
from loquela.runs.stored.local_copy import local_model_folder
from loquela.stages import STAGES, Stage, last_stage, stage_for, stages_until

StageFunction = Callable[[StageContext], StageResult]
Gate = Callable[[Path, Recipe], None]
# Where the model is that the evaluation measures: the one that `generate` and the service load.
SERVED = ("best", "final")
# What a stage makes in the run's own folder, and under which name.
IN_RUN = {
    "checkpoint": "final",
    "report": "eval",
    "exports": "exports",
    "deployment": "deploy",
    "adapter": "adapter",
    "comparison": "eval",
    "merged": "merged",
    "final_artifact": "final_artifact",
}
# Made with their own manifest, in a folder that gets its name only then.
SELF_SEALED = ("checkpoint", "adapter", "merged", "final_artifact")
# What of these a killed stage left in their folder must not be taken for a part of them.
MADE_FROM_NOTHING = ("report", "deployment")


class RunRecord(BoundaryModel):
    """What `execute` gives back."""

    run_id: str
    directory: Path
    status: PipelineStatus
    manifest: TrainingRunManifest


def execute(
    resolved: ResolvedRecipe,
    *,
    resume: str = "ask",
    until: str | None = None,
    listeners: Sequence[Listener] = (),
    ask: Ask | None = None,
    run_id: str | None = None,
) -> RunRecord:
    """Execute a recipe up to and including the stage `until`, without one to its end.

    With `run_id` it is that run: gone on with where it was begun, made where it was not, and `resume` says nothing.
    Prerequisites are checked before anything is written. Every outcome is recorded in the run's status and
    manifest; errors are raised again as the LoquelaError they are. Raises Interrupted after SIGINT or SIGTERM,
    with everything saved.
    """
    resolved = fit_to_device(resolved)
    recipe = resolved.recipe
    until = stage_for(until, recipe).name if until else last_stage(recipe)
    store = RunStore(recipe.output_directory)
    chosen = choose_run(store, recipe, resume, ask) if run_id is None else store.begun(run_id)
    if chosen is not None:
        # What is in a store of artifacts only would be taken for never made.
        local_model_folder(chosen)
    reads_sources = any(stage.name == "ingest" for stage in stages_until(until, recipe))
    skipped = "corpus_download" in recipe.skip_phases
    proofs = check_prerequisites(recipe, skip_sources=skipped or not reads_sources)
    plan = plan_run(recipe)
    rebuilt = _rebuilt(chosen, recipe)
    if chosen is None or rebuilt is not None:
        directory = store.create(recipe.name, None if chosen is not None else run_id)
    else:
        directory = chosen
    with RunLock(directory), stop_on_signals() as stop:
        resumed = directory == chosen
        execution = Execution(resolved, directory, stop, listeners, resumed=resumed, rebuilt=rebuilt)
        return execution.run(until, proofs, plan)


def _rebuilt(chosen: Path | None, recipe: Recipe) -> Rebuilt | None:
    """Under `data.on_change: rebuild`, why the chosen run must be left for a new one; None when it need not."""
    if chosen is None or recipe.data.on_change != "rebuild" or "corpus_download" in recipe.skip_phases:
        return None
    changes = changes_since(chosen, recipe)
    return Rebuilt(run_directory=chosen, changes=changes) if changes else None


class Execution(RunBook):
    """One walk through the stage table, inside the lock of its run."""

    def __init__(
        self,
        resolved: ResolvedRecipe,
        directory: Path,
        stop: StopRequest,
        listeners: Sequence[Listener],
        *,
        resumed: bool,
        rebuilt: Rebuilt | None = None,
    ) -> None:
        super().__init__(resolved, directory, listeners, resumed=resumed, rebuilt=rebuilt)
        self.stop = stop
        self.plan: Plan | None = None
        self.cache = ArtifactCache(self.recipe.output_directory, self.bus)
        self.places: dict[str, Path] = {}
        self.digests: dict[str, str] = {}

    def run(self, until: str, proofs: list[Proof], plan: Plan | None) -> RunRecord:
        """Walk the table; record the outcome whatever it is."""
        started = time.perf_counter()
        self.plan = plan
        self._write_records(proofs, plan)
        if self.was_complete:
            # Every stage is reused then; stopping halfway would only take its end from a complete run.
            until = last_stage(self.recipe)
        try:
            self._announce(plan, until)
            self._advance(Phase.CORPUS_DOWNLOAD, time.perf_counter() - started)
            self._walk(until)
            self._finish(until, self.plan)
        except Interrupted as error:
            self._interrupted(error)
            raise
        except LoquelaError as error:
            self._failed(error)
            raise
        except Exception as error:
            self._failed(error)
            raise
        write_seal(self.directory)
        return RunRecord(
            run_id=self.directory.name, directory=self.directory, status=self.status, manifest=self.manifest
        )

    def _walk(self, until: str) -> None:
        for stage in stages_until(until, self.recipe):
            self._carry_out(stage)
            self._stop_if_asked()

    def _carry_out(self, stage: Stage) -> None:
        phase = Phase(stage.phase)
        if stage.name == "finetune":
            self._plan_again()
        began = time.perf_counter()
        if self.status.current_phase is not phase:
            self._advance(phase, 0.0)
        self.bus.publish("pipeline.stage_started.v1", {"stage": stage.name, "phase": stage.phase})
        record = self._stage(stage)
        record.seconds = time.perf_counter() - began
        self.manifest.stages = {**self.manifest.stages, stage.name: record}
        self.manifest.save(self.directory)
        timings = self.status.phase_timings
        spent = timings.get(phase, 0.0) + record.seconds
        self.status.phase_timings = {**timings, phase: round(spent, 3)}
        self._add_artifact(record.directory)
        self.bus.publish(
            "pipeline.stage_completed.v1",
            {
                "stage": stage.name,
                "phase": stage.phase,
                "seconds": round(record.seconds, 3),
                "reused": record.reused,
                "summary": record.summary,
                "facts": record.facts,
            },
        )
        if stage.gate is not None:
            gate: Gate = resolve(stage.gate)
            gate(Path(record.directory), self.recipe)

    def _plan_again(self) -> None:
        """Now that base and rows are there, predict from what was counted in them."""
        self.plan = plan_run(self.recipe)
        if self.plan is not None:
            write_json(self.directory / "plan.json", self.plan.model_dump(mode="json"))

    def _stage(self, stage: Stage) -> StageRecord:
        settings = stage_settings(self.recipe, stage)
        inputs = {kind: self.digests[kind] for kind in stage.inputs_of(self.recipe)}
        if stage.makes in IN_RUN:
            return self._stage_in_run(stage, settings, inputs)
        skipped = self._skipped_key(stage)
        if skipped is None:
            outside = self._fingerprint(stage)
            self._check_sources_unchanged(stage, outside)
            key = stage_key(stage, settings, inputs, outside)
        else:
            key = skipped
        manifest = self.cache.find(stage.makes, key)
        if manifest is None and skipped is not None:
            raise self._nothing_to_skip_to(stage)
        reused = manifest is not None
        summary = "unchanged since it was made, not run again" if reused else ""
        if manifest is None:
            manifest, result = self.cache.build(
                stage.makes, key, lambda output: self._call(stage, output), settings=settings, parents=inputs
            )
            summary = result.summary
        place = self.cache.directory(stage.makes, key)
        self._check_unchanged(stage, manifest)
        self.places[stage.makes], self.digests[stage.makes] = place, manifest.digest
        self._keep_in_run(stage, place, manifest)
        return StageRecord(
            stage=stage.name,
            key=key,
            digest=manifest.digest,
            directory=str(place),
            reused=reused,
            seconds=0.0,
            facts=manifest.facts,
            summary=summary,
        )

    def _stage_in_run(self, stage: Stage, settings: dict[str, JsonValue], inputs: dict[str, str]) -> StageRecord:
        """Training and what follows it write into the run's own folder."""
        output = self.directory / IN_RUN[stage.makes]
        key = stage_key(stage, settings, inputs, self._fingerprint(stage))
        before = self._kept_in_run(stage, key, output)
        if before is not None:
            self._take_made(stage, output)
            return before.model_copy(update={"reused": True, "summary": "unchanged since it was made, not run again"})
        if stage.makes in MADE_FROM_NOTHING:
            shutil.rmtree(output, ignore_errors=True)
        self._forget_from(stage)
        result = self._call(stage, output)
        if stage.makes not in SELF_SEALED:
            write_manifest(output, stage.makes, settings=settings, parents=inputs, facts=result.facts)
        manifest = read_manifest(output)
        self._take_made(stage, output)
        return StageRecord(
            stage=stage.name,
            key=key,
            digest=manifest.digest,
            directory=str(output),
            reused=False,
            seconds=0.0,
            facts=result.facts,
            summary=result.summary,
        )

    def _kept_in_run(self, stage: Stage, key: str, output: Path) -> StageRecord | None:
        """The record of what this run has made already, proven; None when it must be made (again)."""
        before = self.manifest.stages.get(stage.name)
        if before is None or before.key != key:
            return None
        if before.facts.get("constitutional_compliance") is False:
            # A budget that was missed is measured again: the machine may have been busy.
            return None
        try:
            found = verify(output)
        except DataError as error:
            message = f"{error.message}; it is made again"
            self.bus.publish("artifact.damaged.v1", {"message": message, "kind": stage.makes, "problem": error.message})
            return None
        return before if found.digest == before.digest else None

    def _forget_from(self, stage: Stage) -> None:
        """Drop the records of what is made anew now, so that none speaks of files that are being replaced."""
        later = [each.name for each in STAGES[STAGES.index(stage) :]]
        self.manifest.stages = {name: kept for name, kept in self.manifest.stages.items() if name not in later}
        self.manifest.save(self.directory)

    def _take_made(self, stage: Stage, place: Path) -> None:
        """Later stages are given what was made; of training the model that is served: the best one, else the last."""
        if stage.makes == "checkpoint":
            folders = [self.directory / name for name in SERVED]
            place = next(folder for folder in folders if (folder / "manifest.json").is_file())
        self.places[stage.makes], self.digests[stage.makes] = place, read_manifest(place).digest

    def _call(self, stage: Stage, output: Path) -> StageResult:
        function: StageFunction = resolve(stage.entry)
        return function(
            StageContext(
                recipe=self.recipe,
                bus=self.bus,
                inputs={kind: self.places[kind] for kind in stage.inputs_of(self.recipe)},
                output=output,
                run_directory=self.directory,
                stop=self.stop,
            )
        )

    def _fingerprint(self, stage: Stage) -> dict[str, JsonValue]:
        if stage.fingerprint is None:
            return {}
        function: Fingerprint = resolve(stage.fingerprint)
        return function(self.recipe)

    def _skipped_key(self, stage: Stage) -> str | None:
        """The key of the newest artifact that a skipped phase left behind; RecipeError when it left none."""
        if stage.phase not in self.recipe.skip_phases or stage.name in ("prepare", "examples"):
            return None
        parents = {kind: self.digests[kind] for kind in stage.inputs_of(self.recipe)}
        key = self.cache.newest(stage.makes, stage_settings(self.recipe, stage), parents)
        if key is None:
            raise self._nothing_to_skip_to(stage)
        return key

    def _nothing_to_skip_to(self, stage: Stage) -> RecipeError:
        folder = self.cache.directory(stage.makes, "x").parent
        return RecipeError(
            ErrorCode.DATASET_NOT_FOUND,
            f"skip_phases names {stage.phase}, but no whole {stage.makes} made with these settings is in {folder}",
            f"remove {stage.phase} from skip_phases and run once",
        )

    def _check_sources_unchanged(self, stage: Stage, now: dict[str, JsonValue]) -> None:
        """Before a corpus is made: are the sources those that this run's corpus was made from?"""
        before = self.manifest.stages.get(stage.name)
        if stage.name == "ingest" and before is not None:
            changes = source_changes(before, now)
            if changes:
                raise self._data_changed(before, "; ".join(changes))

    def _check_unchanged(self, stage: Stage, manifest: Manifest) -> None:
        before = self.manifest.stages.get(stage.name)
        if before is None or before.digest == manifest.digest:
            return
        changes = settings_changes(self.recipe_before, self.recipe, stage) if self.recipe_before is not None else []
        if stage.name == "ingest":
            counts = (
                f"it had {before.facts.get('bytes')} bytes in {before.facts.get('documents')} documents, now "
                f"{manifest.facts.get('bytes')} in {manifest.facts.get('documents')}"
            )
            raise self._data_changed(before, "; ".join([*changes, counts]))
        if stage.name == "tokenizer" and has_checkpoints(self.directory):
            raise DataError(
                ErrorCode.CHECKPOINT_INCOMPATIBLE,
                f"the checkpoints of run {self.directory.name} were trained with another tokenizer: "
                + ("; ".join(changes) or f"its digest was {before.digest[:12]} and is {manifest.digest[:12]}"),
                "put those values back into the recipe, or start a new run with --resume never",
                details={"before": before.digest, "now": manifest.digest},
            )

    def _data_changed(self, before: StageRecord, what: str) -> DataError:
        return DataError(
            ErrorCode.DATA_CHANGED,
            f"the text is not what run {self.directory.name} was made from: {what}",
            "restore the text and its settings, or start a new run with --resume never "
            "(data.on_change: rebuild does that by itself when a source changes)",
            details={"before": before.digest},
        )

    def _keep_in_run(self, stage: Stage, place: Path, manifest: Manifest) -> None:
        if stage.makes == "tokenizer":
            copy_artifact(place, self.directory / "tokenizer", manifest.digest)
        write_ledger(self.directory, stage.name, place, manifest)

    def _stop_if_asked(self) -> None:
        if self.stop.requested:
            raise Interrupted(
                ErrorCode.INTERRUPTED,
                f"stopped by {self.stop.reason}; everything finished so far is kept in {self.directory}",
                "go on with the same command and --resume auto",
            )
