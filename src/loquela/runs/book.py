"""What a run writes about itself: recipe, manifest, status, preflight, plan, events, logs, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from loquela.artifacts.folders import heal_folder, remove_leftovers
from loquela.artifacts.proof import Proof
from loquela.artifacts.validation_results import ValidationResults
from loquela.compute.plan import Plan
from loquela.core.atomic import write_bytes, write_json, write_text
from loquela.core.errors import ErrorCode, Interrupted, LoquelaError, ProofError, ResourceError
from loquela.core.model import BoundaryModel
from loquela.monitoring.curve_file import CurveFile
from loquela.monitoring.events import EventBus, EventFile, Listener
from loquela.monitoring.logs import RunLogs
from loquela.monitoring.telemetry.run_spans import RunSpans
from loquela.monitoring.telemetry.tracing import open_tracing
from loquela.recipe.dumping import dump_recipe
from loquela.recipe.keys import values_of
from loquela.recipe.loading import ResolvedRecipe
from loquela.recipe.schema import Recipe
from loquela.runs.alerting.listener import alert_listener
from loquela.runs.environment import git_revision, hardware, versions
from loquela.runs.lock import RunLock
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest
from loquela.runs.outcome import error_details, summary_of
from loquela.runs.plan import actual_against_plan
from loquela.runs.progress import ProgressRecorder
from loquela.runs.resume import same_settings
from loquela.runs.seal import break_seal, write_seal
from loquela.runs.status import Phase, PipelineStatus, load_status
from loquela.runs.tracking import tracker_listener
from loquela.stages import last_stage, stages_until


class Rebuilt(BoundaryModel):
    """A run that is not gone on with because its text is another now."""

    run_directory: Path
    changes: list[str]


class RunBook:
    """Opens the records of one run, inside its lock, and keeps them true until the run ends one way or another."""

    def __init__(
        self,
        resolved: ResolvedRecipe,
        directory: Path,
        listeners: Sequence[Listener],
        *,
        resumed: bool,
        rebuilt: Rebuilt | None = None,
    ) -> None:
        self.recipe = resolved.recipe
        self.resolved = resolved
        self.directory = directory
        self.resumed = resumed
        self.rebuilt = rebuilt
        self.recipe_before: Recipe | None = None
        self.was_complete = False
        break_seal(directory)
        remove_leftovers(directory)
        heal_folder(directory / "tokenizer")
        self.status, self.manifest = self._open_records()
        self.bus = EventBus(run_id=directory.name)
        self.bus.subscribe(EventFile(directory / "events.jsonl"))
        self.logs = RunLogs(directory / "logs")
        self.bus.subscribe(self.logs)
        self.progress = ProgressRecorder(self.status, directory)
        self.bus.subscribe(self.progress)
        self.bus.subscribe(CurveFile(directory))
        trackers = tracker_listener(self.recipe, directory, resumed=resumed)
        if trackers is not None:
            self.bus.subscribe(trackers)
        alerts = alert_listener(self.recipe, directory, self.bus)
        if alerts is not None:
            self.bus.subscribe(alerts)
        tracing = open_tracing("run")
        if tracing is not None:
            self.bus.subscribe(RunSpans(tracing))
        for listener in listeners:
            self.bus.subscribe(listener)

    def _open_records(self) -> tuple[PipelineStatus, TrainingRunManifest]:
        if self.resumed:
            status = load_status(self.directory)
            manifest = load_run_manifest(self.directory)
            self.recipe_before = manifest.recipe
            self.was_complete = status.current_phase is Phase.COMPLETE and same_settings(manifest.recipe, self.recipe)
            manifest.resumed = [*manifest.resumed, datetime.now(UTC)]
            status.reopen(Phase.PREREQUISITE_CHECK)
        else:
            status = PipelineStatus(run_id=self.directory.name)
            manifest = TrainingRunManifest(
                run_id=self.directory.name,
                pipeline_id=status.pipeline_id,
                recipe=self.recipe,
                seed=self.recipe.seed,
                versions={},
                hardware={},
            )
        manifest.recipe = self.recipe
        manifest.versions = versions()
        manifest.hardware = hardware()
        manifest.git = git_revision(Path.cwd())
        manifest.ended, manifest.failure_class, manifest.last_error = None, None, None
        return status, manifest

    def _write_records(self, proofs: list[Proof], plan: Plan | None) -> None:
        saved = self.directory / "recipe.yaml"
        text = dump_recipe(self.resolved)
        if saved.is_file() and saved.read_text(encoding="utf-8") != text:
            write_bytes(self.directory / f"recipe.{len(self.manifest.resumed)}.yaml", saved.read_bytes())
        write_text(saved, text)
        write_json(self.directory / "preflight.json", [proof.model_dump(mode="json") for proof in proofs])
        if plan is not None:
            write_json(self.directory / "plan.json", plan.model_dump(mode="json"))
        self.manifest.save(self.directory)
        self.status.save(self.directory)

    def _announce(self, plan: Plan | None, until: str) -> None:
        """Say what begins, with the derived values that a stage up to `until` looks at."""
        values = values_of(self.recipe)
        looked_at = {setting for stage in stages_until(until, self.recipe) for setting in stage.settings}
        self.bus.publish(
            "pipeline.started.v1",
            {
                "run_id": self.directory.name,
                "directory": str(self.directory),
                "resumed": self.resumed,
                "derived": [
                    {"key": key, "value": values[key], "reason": origin.where}
                    for key, origin in self.resolved.derived().items()
                    if any(key == setting or key.startswith(f"{setting}.") for setting in looked_at)
                ],
                "plan": None if plan is None else plan.model_dump(mode="json"),
            },
        )

        if self.rebuilt is not None:
            old, changes = self.rebuilt.run_directory, "; ".join(self.rebuilt.changes)
            message = (
                f"the text is not what run {old.name} was made from ({changes}): a new run, as data.on_change says"
            )
            self.bus.publish("pipeline.data_changed.v1", {"message": message, "run": old.name, "changes": changes})
            self._leave(old)

    def _leave(self, old: Path) -> None:
        """Note in a run that this one took its place, so that `--resume auto` does not go back to it."""
        with RunLock(old):
            break_seal(old)
            status = load_status(old)
            status.replaced_by = self.directory.name
            status.message = f"left for {self.directory.name}: its text is another now"
            status.save(old)
            write_seal(old)

    def _advance(self, phase: Phase, seconds: float) -> None:
        before = self.status.current_phase
        if seconds:
            self.status.phase_timings = {**self.status.phase_timings, before: round(seconds, 3)}
        self.status.advance(phase)
        self.status.save(self.directory)
        self.bus.publish("pipeline.phase_changed.v1", {"from": before, "to": phase})

    def _add_artifact(self, path: str) -> None:
        if path not in self.status.artifacts_created:
            self.status.artifacts_created = [*self.status.artifacts_created, path]
        self.status.save(self.directory)

    def _interrupted(self, error: Interrupted) -> None:
        self.status.message = error.message
        self.manifest.last_error = error.code

        def write() -> None:
            self.status.save(self.directory)
            self.manifest.save(self.directory)
            self.bus.publish("pipeline.interrupted.v1", {"message": error.message, "remedy": error.remedy})

        self._record_end(error, write)

    def _failed(self, error: Exception) -> None:
        details = error_details(error, self.status.current_phase, self.logs.last_lines())
        self.manifest.failure_class = error.failure_class if isinstance(error, LoquelaError) else "FATAL"
        self.manifest.last_error = str(error)
        self.manifest.ended = datetime.now(UTC)
        if self.status.current_phase is not Phase.COMPLETE:
            self.status.fail(details)

        def write() -> None:
            self.status.save(self.directory)
            self.manifest.save(self.directory)
            self.logs.log_system("error", f"{type(error).__name__}: {error}", {"error_code": details.code})
            failed = {"phase": str(details.failed_phase), "code": details.code, "message": details.error_message}
            self.bus.publish("pipeline.failed.v1", {**failed, "remedy": details.remedy})

        self._record_end(error, write)

    def _record_end(self, error: Exception, write: Callable[[], None]) -> None:
        """Write the last records and seal them, as far as the disk lets us."""
        try:
            write()
            write_seal(self.directory)
        except ResourceError as second:
            # The error that ended the run goes on to the caller; on a full disk it cannot be recorded as well.
            error.add_note(f"not recorded in the run: {second.message}")

    def _finish(self, until: str, plan: Plan | None) -> None:
        results_path = self.directory / "eval" / "validation_results.json"
        evaluated = any(stage.name == "evaluate" for stage in stages_until(until, self.recipe))
        if evaluated:
            self.status.validation_results = ValidationResults.model_validate_json(results_path.read_bytes())
            self._judge(self.status.validation_results)
        self.manifest.metrics_summary = summary_of(self.manifest)
        self.manifest.ended = datetime.now(UTC)
        self.manifest.save(self.directory)
        comparison = [] if plan is None else actual_against_plan(plan, self.manifest)
        write_json(self.directory / "plan_against_actual.json", comparison)
        complete = until == last_stage(self.recipe)
        if evaluated or complete:
            self.status.complete()
        self.status.message = "complete" if complete else f"stopped after {until}, as asked"
        self.status.save(self.directory)
        self.bus.publish(
            "pipeline.completed.v1",
            {
                "run_id": self.directory.name,
                "directory": str(self.directory),
                "phase_timings": {str(phase): seconds for phase, seconds in self.status.phase_timings.items()},
                "metrics": self.manifest.metrics_summary,
                "plan_against_actual": comparison,
            },
        )

    def _judge(self, results: ValidationResults) -> None:
        """validation → complete only when the inference budgets hold."""
        if results.constitutional_compliance:
            return
        error = ProofError(
            ErrorCode.PERFORMANCE_BELOW_THRESHOLD,
            f"the trained model misses its inference budgets, see {self.directory / 'eval' / 'budgets.json'}: "
            f"{results.inference_metrics.model_dump_json()}",
            "choose a smaller model, or raise evaluate.budgets in the recipe; the model itself is kept in final/",
        )
        raise error
