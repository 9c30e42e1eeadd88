"""The training loop: steps in order, what happens between them, and how the run ends.

    batch of step ─ pass over? ─ compute ─ apply unless not finite ─ read ─ log ─ evaluate ─ checkpoint ─ stop asked?
                                                                     └ roll back ─► a checkpoint before the incident

The loop's whole memory is `Progress` and the ladder; a checkpoint is that, the weights and the optimizer's state.
Everything it decides follows from them and from reduced values, so all ranks decide alike, and a run that was
killed repeats what it would have done.
"""

from __future__ import annotations

import gc
import time

from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.checkpoints import newest_up_to, remove_newer
from loquela.artifacts.training_records import (
    BestSoFar,
    EpochMetrics,
    EpochProgress,
    LossHistory,
    TrainingCheckpoint,
)
from loquela.core.errors import ErrorCode, Interrupted, ProofError, ResourceError
from loquela.monitoring.events import trace
from loquela.training.batches import StepBatches
from loquela.training.collection import collected_between_steps
from loquela.training.early_stopping import EarlyStopping
from loquela.training.memory import is_out_of_memory
from loquela.training.nonfinite import Ladder, Reading, Verdict
from loquela.training.parts import Parts
from loquela.training.progress import Progress, progress_of
from loquela.training.records import SAMPLES_NAME, SKIPPED_NAME, append_record, forget_after
from loquela.training.reporting import Reporter
from loquela.training.schedules import learning_rate_factor


class RolledBack(Exception):
    """Leaves the stream of batches after a roll-back, so that it can start again further back."""


class TrainingLoop:
    """Trains until the steps are done, early stopping says so, somebody asks, or the ladder ends."""

    def __init__(self, parts: Parts, ladder: Ladder, stopping: EarlyStopping, progress: Progress) -> None:
        self.parts = parts
        self.section = parts.section
        self.ladder = ladder
        self.stopping = stopping
        self.progress = progress
        self.reporter = Reporter(parts, progress.step)
        self._unread: list[tuple[StepBatches, Tensor]] = []
        self._saved_step: int | None = None
        self._reserved = False
        self._clock = time.perf_counter()

    # ── the whole ─────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> TrainingCheckpoint:
        """Train to the end and return the state that the last checkpoint holds.

        Raises Interrupted after a stop request; ProofError(NAN_LOSS, GRADIENT_EXPLOSION) at the end of the ladder;
        ResourceError (OOM, DISK_FULL, WRITE_PERMISSION, WORKER_CRASH); DataError for damaged batches.
        """
        if self.progress.step == 0:
            self._checkpoint("start")
        else:
            self._saved_step = self.progress.step
        self._clock = time.perf_counter()
        with collected_between_steps():
            while not self._ended():
                try:
                    self._stream()
                except RolledBack:
                    continue
        if self._saved_step != self.progress.step:
            self._checkpoint("final")
        if self.parts.checkpointer is not None:
            self.parts.checkpointer.finish()
        return self.state("final")

    def state(self, reason: str) -> TrainingCheckpoint:
        """The loop's memory as a checkpoint's state."""
        progress = self.progress
        return TrainingCheckpoint.model_validate(
            {
                **self.parts.identity,
                "step": progress.step,
                "epoch": progress.step // self.parts.loader.steps_per_epoch,
                "reason": reason,
                "loss_history": LossHistory(
                    train_losses=[epoch.train_loss for epoch in progress.history],
                    val_losses=[epoch.validation_loss for epoch in progress.history],
                ),
                "epoch_history": progress.history,
                "epoch_progress": progress.epoch.model_copy(),
                "best": progress.best,
                "early_stopping": self.stopping.state,
                "ladder": self.ladder.state.model_copy(deep=True),
                "loss_scale": self.parts.runner.scale_state(),
                "tokens_seen": progress.tokens_seen,
                "training_seconds": progress.seconds,
                "evaluation_seconds": progress.evaluation_seconds,
            }
        )

    def _ended(self) -> bool:
        return self.progress.step >= self.parts.steps_total or self.stopping.exhausted

    def _stream(self) -> None:
        parts = self.parts
        with parts.loader.stream(self.progress.step, parts.steps_total, self._is_logged) as stream:
            for loaded in stream:
                self._step(loaded)
                if self._ended():
                    return

    # ── one step ──────────────────────────────────────────────────────────────────────────────────────

    def _step(self, loaded: StepBatches) -> None:
        step, parts = loaded.plan.step, self.parts
        if step % parts.loader.steps_per_epoch == 0:
            trace(parts.bus, "TrainingOrchestrator", "epoch_start", epoch=loaded.plan.epoch + 1, step=step)
        if self.ladder.passes_over(step):
            self._record_skipped(loaded, "inside a range that was rolled back")
        else:
            self._unread.append((loaded, self._compute(loaded)))
            self._reserve_staging()
        self.progress.step = step + 1
        if parts.runner.reads_every_step or self._must_read():
            self._read()
        self._between_steps()

    def _compute(self, loaded: StepBatches) -> Tensor:
        parts = self.parts
        step = loaded.plan.step
        factor = learning_rate_factor(self.section.schedule, step, parts.steps_total)
        try:
            bus = parts.bus if self._is_logged(step) else None
            outcome = parts.runner.gradients(loaded, self.ladder.norm_limit, bus)
            if parts.checkpointer is not None:
                parts.checkpointer.wait_until_staged()
            parts.runner.update(outcome, factor, bus)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise parts.out_of_memory(error, step) from error
        return outcome.numbers

    def _reserve_staging(self) -> None:
        """After the first step the optimizer's state exists: make room for its copies before they are needed."""
        checkpointer = self.parts.checkpointer
        if checkpointer is not None and not self._reserved and not self.parts.optimizer.shared_out:
            self._reserved = True
            checkpointer.reserve(self.parts.model_tensors(), self.parts.optimizer.state_tensors())

    def _must_read(self) -> bool:
        """Where the host needs the numbers of the steps behind it: logs, evaluations, checkpoints, the end."""
        step = self.progress.step
        return (
            self._is_logged(step - 1)
            or self._evaluation_due()
            or step % self.section.checkpoint_every_steps == 0
            or step >= self.parts.steps_total
        )

    def _read(self) -> None:
        """Give the ladder what the device decided since the last time, in order of steps."""
        unread, self._unread = self._unread, []
        for loaded, numbers in unread:
            loss, norm, applied = numbers.tolist()
            reading = Reading(loaded.plan.step, loss, norm, bool(applied))
            verdict = self.ladder.read(reading)
            if verdict is Verdict.APPLIED:
                self._count(loaded, reading)
                continue
            self._record_skipped(loaded, str(reading.code))
            if verdict is Verdict.ROLL_BACK:
                self._roll_back(unread[-1][0].plan.step)
            if verdict is Verdict.STOP:
                raise self._end_of_ladder(reading, loaded.plan.epoch)

    def _count(self, loaded: StepBatches, reading: Reading) -> None:
        tokens = loaded.plan.label_tokens
        epoch = self.progress.epoch
        epoch.loss_sum += reading.loss * tokens
        epoch.tokens += tokens
        epoch.norm_sum += reading.gradient_norm
        epoch.steps += 1
        self.progress.tokens_seen += tokens
        self.reporter.took(tokens)
        if self._is_logged(reading.step):
            factor = learning_rate_factor(self.section.schedule, reading.step, self.parts.steps_total)
            self.reporter.step_done(reading, factor * self.section.learning_rate, self.progress.tokens_seen)

    def _is_logged(self, step: int) -> bool:
        """Whether the step with this index (from 0) is one of those that are logged."""
        done = step + 1
        return done % self.section.log_every_steps == 0 or done == 1 or done == self.parts.steps_total

    # ── between steps ─────────────────────────────────────────────────────────────────────────────────

    def _between_steps(self) -> None:
        step = self.progress.step
        save, is_best = step % self.section.checkpoint_every_steps == 0, False
        if self._evaluation_due():
            began = time.perf_counter()
            is_best = self._evaluate()
            spent = time.perf_counter() - began
            self.progress.evaluation_seconds += spent
            self.reporter.paused(spent)
            save = save or is_best or self._epoch_ends()
        if step % self.section.log_every_steps == 0:
            gc.collect(1)
        checkpointer = self.parts.checkpointer
        stop, failed = self.parts.group.any(
            self.parts.stop.requested, checkpointer is not None and checkpointer.failed()
        )
        if failed:
            self._raise_failed_write()
        if checkpointer is not None:
            checkpointer.report()
        if save:
            self._checkpoint("final" if self._ended() else "periodic", is_best=is_best)
        if stop and not self._ended():
            self._read()
            self._stop()

    def _epoch_ends(self) -> bool:
        step = self.progress.step
        return step % self.parts.loader.steps_per_epoch == 0 or step >= self.parts.steps_total

    def _evaluation_due(self) -> bool:
        every = self.section.evaluate_every_steps
        return self._epoch_ends() or (every is not None and self.progress.step % every == 0)

    def _evaluate(self) -> bool:
        """Validate; close the epoch where it ends; whether this is the best model so far."""
        self._take_time()
        loss = self.parts.validation.loss()
        is_best = loss == loss and (self.progress.best is None or loss < self.progress.best.validation_loss)
        step = self.progress.step
        epoch = (step - 1) // self.parts.loader.steps_per_epoch + 1
        if is_best:
            self.progress.best = BestSoFar(step=step, epoch=epoch, validation_loss=loss)
        self.stopping.update(loss)
        self.reporter.validated(step, epoch, loss)
        if self._epoch_ends():
            self._close_epoch(epoch, loss)
        return is_best

    def _close_epoch(self, number: int, validation_loss: float) -> None:
        """Add the epoch to the history, unless none of its batches was trained on."""
        if self.progress.epoch.steps == 0:
            self.progress.epoch = EpochProgress()
            return
        last = number * self.parts.loader.steps_per_epoch >= self.parts.steps_total
        samples = self._samples(number) if number % self.section.sample_every_epochs == 0 or last else []
        factor = learning_rate_factor(self.section.schedule, self.progress.step - 1, self.parts.steps_total)
        self._take_time()
        done, self.progress.epoch = self.progress.epoch, EpochProgress()
        metrics = EpochMetrics(
            epoch_number=number,
            train_loss=done.loss_sum / done.tokens,
            validation_loss=validation_loss,
            learning_rate=factor * self.section.learning_rate,
            elapsed_seconds=round(done.seconds),
            sample_outputs=samples,
            gradient_norm=done.norm_sum / done.steps,
        )
        self.progress.history = [*self.progress.history, metrics]
        self.reporter.epoch_done(metrics, self.progress.history)

    def _samples(self, epoch: int) -> list[str]:
        """Texts that the model writes now; only rank 0 does."""
        parts = self.parts
        if parts.sample is None or not parts.group.leads:
            return []
        texts = []
        for prompt, text in parts.sample():
            record: dict[str, JsonValue] = {
                "step": self.progress.step,
                "epoch": epoch,
                "prompt": prompt,
                "text": text,
            }
            append_record(parts.run_directory, SAMPLES_NAME, record)
            texts.append(text)
        return texts

    def _checkpoint(self, reason: str, *, is_best: bool = False) -> None:
        self._take_time()
        self._saved_step = self.progress.step
        weights, moments = self.parts.whole_model(), self.parts.whole_optimizer()
        if self.parts.checkpointer is not None:
            self.parts.checkpointer.save(weights, moments, self.state(reason), is_best=is_best)

    def _take_time(self) -> None:
        """Book the seconds since the last call on the epoch and on the run."""
        now = time.perf_counter()
        self.progress.epoch.seconds += now - self._clock
        self.progress.seconds += now - self._clock
        self._clock = now

    # ── what can go wrong ─────────────────────────────────────────────────────────────────────────────

    def _record_skipped(self, loaded: StepBatches, reason: str) -> None:
        plan = loaded.plan
        trace(self.parts.bus, "TrainingOrchestrator", "batch_skipped", step=plan.step, reason=reason)
        if self.parts.group.leads:
            rows: list[JsonValue] = [int(row) for row in plan.rows]
            record: dict[str, JsonValue] = {"step": plan.step + 1, "epoch": plan.epoch + 1, "reason": reason}
            append_record(self.parts.run_directory, SKIPPED_NAME, {**record, "rows": rows})

    def _roll_back(self, last_bad_step: int) -> None:
        """Take back everything since the newest checkpoint before the incident; raises RolledBack."""
        parts = self.parts
        target = -1
        if parts.checkpointer is not None:
            parts.checkpointer.finish()
            found = newest_up_to(parts.run_directory, self.ladder.incident_began)
            target = found.state.step if found is not None else -1
        target = parts.group.from_leader(target)
        if target < 0:
            raise ProofError(
                ErrorCode.NAN_LOSS,
                f"step {last_bad_step} was not finite and there is no checkpoint before it to go back to",
                f"lower {parts.place}.learning_rate and start a new run with --resume never",
            )
        state = parts.load_checkpoint(target)
        self.ladder.rolled_back(state.ladder, target, last_bad_step)
        best = self.progress.best
        self.progress = progress_of(state)
        self.progress.best = best
        self.stopping.state = state.early_stopping
        parts.runner.load_scale_state(state.loss_scale)
        self._saved_step = target
        if parts.group.leads:
            remove_newer(parts.run_directory, target)
            forget_after(parts.run_directory, target)
        self._clock = time.perf_counter()
        self.reporter.rolled_back(target, last_bad_step, self.ladder.state.rollbacks)
        raise RolledBack

    def _raise_failed_write(self) -> None:
        """Rank 0 knows why its background write failed; the others say that it did."""
        if self.parts.checkpointer is not None:
            self.parts.checkpointer.finish()
        raise ResourceError(
            ErrorCode.CHECKPOINT_FAILED,
            f"rank 0 could not write its checkpoint; stopped after step {self.progress.step}",
            "see the message of rank 0; then run again with --resume auto",
            retryable=True,
        )

    def _stop(self) -> None:
        """Save everything and end; raises Interrupted."""
        step = self.progress.step
        if self._saved_step != step:
            self._checkpoint("stop")
        if self.parts.checkpointer is not None:
            self.parts.checkpointer.finish()
        raise Interrupted(
            ErrorCode.INTERRUPTED,
            f"stopped by {self.parts.stop.reason or 'another process'} after step {step} of "
            f"{self.parts.steps_total}; everything is saved in {self.parts.run_directory}",
            "go on with the same command and --resume auto",
            details={"step": step, "steps_total": self.parts.steps_total, "reason": self.parts.stop.reason},
        )

    def _end_of_ladder(self, reading: Reading, epoch: int) -> ProofError:
        rollbacks = self.ladder.state.rollbacks
        what = "the loss is not a number" if reading.code is ErrorCode.NAN_LOSS else "the gradient explodes"
        return ProofError(
            reading.code,
            f"{what} at step {reading.step + 1} (epoch {epoch + 1}): {self.section.max_skipped_steps} skipped steps "
            f"and {rollbacks} roll-backs did not help",
            f"lower {self.parts.place}.learning_rate, or set {self.parts.place}.gradient_clip_norm; the last good "
            "checkpoint is kept",
            details={
                "step": reading.step,
                "epoch": epoch + 1,
                "recoverable": True,
                "skipped_steps": self.ladder.state.skipped_total,
                "rollbacks": rollbacks,
            },
        )


def resume_loop(parts: Parts, state: TrainingCheckpoint | None) -> TrainingLoop:
    """A loop that starts, or goes on from a checkpoint whose tensors are loaded already."""
    section = parts.section
    ladder = Ladder(
        section.max_skipped_steps, section.max_rollbacks, section.spike_factor, state.ladder if state else None
    )
    stopping = EarlyStopping(
        section.early_stopping_patience, section.early_stopping_min_delta, state.early_stopping if state else None
    )
    return TrainingLoop(parts, ladder, stopping, progress_of(state) if state else Progress())
