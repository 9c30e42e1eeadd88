"""The train stage: shards and tokenizer → checkpoints, `best/` and `final/` in the run's folder.

    recipe ─► plan ─► newest valid checkpoint, if any ─► network, loader, optimizer ─► loop ─► final/

With `compute.processes` > 1 the same happens in as many processes, which torchrun starts (launch.py).
"""

from __future__ import annotations

import os

from pydantic import JsonValue

from loquela.artifacts.checkpoints import Found
from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.training_records import FinalMetrics, TrainingCheckpoint, final_metrics
from loquela.compute.apply import apply_plan
from loquela.compute.devices import DevicePlan
from loquela.compute.memory import peak_memory_bytes
from loquela.core.errors import LoquelaError
from loquela.models.size import parameter_count
from loquela.monitoring.events import SilentBus
from loquela.training.assembly import assemble
from loquela.training.distributed import Group, start_group
from loquela.training.launch import train_in_processes
from loquela.training.loop import resume_loop
from loquela.training.opening import Inputs, open_inputs
from loquela.training.parts import Parts
from loquela.training.planning import agreed_plan, allocate_device, plan_for, resumed_plan
from loquela.training.records import forget_after
from loquela.training.reporting import Reporter
from loquela.training.resuming import Changes, check_resumable, find_checkpoint, tell_resumed


def train(context: StageContext) -> StageResult:
    """Train, or go on with training; writes into `context.run_directory`.

    Raises what the loop raises (see TrainingLoop.run), DataError(CHECKPOINT_INCOMPATIBLE, DATA_CHANGED) for a
    checkpoint that this recipe cannot go on from, and what opening shards and tokenizer raises.
    """
    if context.recipe.compute.processes > 1 and "WORLD_SIZE" not in os.environ:
        return train_in_processes(context, "loquela.training.stage:train_here")
    return train_here(context)


def train_here(context: StageContext) -> StageResult:
    """Train in this process, alone or as one rank of those that torchrun started."""
    inputs = open_inputs(context)
    plan = plan_for(inputs)
    with start_group(plan.device) as group:
        if not group.leads:
            context.bus = SilentBus()
        try:
            return _train(inputs, group, agreed_plan(plan, group))
        except LoquelaError as error:
            publish_failure(context, error)
            raise


def _train(inputs: Inputs, group: Group, plan: DevicePlan) -> StageResult:
    context = inputs.context
    found = find_checkpoint(context, group)
    changes: Changes = {}
    if found is not None:
        changes = check_resumable(inputs, found)
        plan = resumed_plan(context.recipe, plan, found.state, group.world_size, context.bus)
    allocate_device(plan, group, context.bus)
    apply_plan(plan)
    parts = assemble(inputs, group, plan, found, changes)
    try:
        if found is not None:
            tell_resumed(context.bus, found, str(parts.identity["version"]), changes)
        if group.leads:
            forget_after(context.run_directory, found.state.step if found is not None else -1)
        group.prove_equal(parts.model)
        publish_start(parts, inputs, found)
        state = resume_loop(parts, found.state if found is not None else None).run()
        return _finish(parts, inputs, state)
    finally:
        if parts.checkpointer is not None:
            parts.checkpointer.close()


def _finish(parts: Parts, inputs: Inputs, state: TrainingCheckpoint) -> StageResult:
    """Write `final/` and the last metrics, on rank 0; the facts of the training, on every rank."""
    history = state.epoch_history
    final = final_metrics(history, state.training_seconds) if history else None
    facts = facts_of(parts, inputs, state, final)
    if parts.checkpointer is not None:
        parents = {"shards": inputs.data_digest, "tokenizer": inputs.tokenizer_digest}
        parts.checkpointer.write_final(parts.whole_model(), facts, parents)
        Reporter(parts, state.step).write_metrics(history, final)
    parts.group.wait_for_all()
    parts.bus.publish("trainer.metrics.completed.v1", final.model_dump(mode="json") if final else {})
    parts.bus.publish("trainer.job.completed.v1", facts)
    losses = f", training loss {history[-1].train_loss:.4f}, validation loss {history[-1].validation_loss:.4f}"
    return StageResult(facts=facts, summary=f"{state.step} steps{losses if history else ''}")


def facts_of(
    parts: Parts, inputs: Inputs, state: TrainingCheckpoint, final: FinalMetrics | None
) -> dict[str, JsonValue]:
    """What the manifest of `final/` says about the training."""
    seconds = state.training_seconds - state.evaluation_seconds
    pauses = parts.checkpointer.pauses_seconds if parts.checkpointer is not None else []
    return {
        "version": state.version,
        "steps": state.step,
        "steps_total": parts.steps_total,
        "epochs": len(state.epoch_history),
        "train_loss": state.epoch_history[-1].train_loss if state.epoch_history else None,
        "validation_loss": state.epoch_history[-1].validation_loss if state.epoch_history else None,
        "best_validation_loss": state.best.validation_loss if state.best else None,
        "best_epoch": state.best.epoch if state.best else None,
        "overfitting_detected": final.overfitting_detected if final else None,
        "convergence_achieved": final.convergence_achieved if final else None,
        "tokens": state.tokens_seen,
        "tokens_per_second": round(state.tokens_seen / seconds, 1) if seconds > 0 else None,
        "seconds": round(state.training_seconds, 3),
        "evaluation_seconds": round(state.evaluation_seconds, 3),
        "parameters": parameter_count(inputs.config),
        "skipped_steps": state.ladder.skipped_total,
        "rollbacks": state.ladder.rollbacks,
        "checkpoint_pause_seconds_max": round(max(pauses), 4) if pauses else None,
        "peak_memory_mb": round(peak_memory_bytes() / 2**20, 1),
        "processes": parts.group.world_size,
        "plan": parts.plan.model_dump(mode="json"),
    }


def publish_start(parts: Parts, inputs: Inputs, found: Found | None) -> None:
    """trainer.job.started and trainer.metrics.config: what is about to happen, in numbers."""
    section = parts.section
    parts.bus.publish(
        "trainer.job.started.v1",
        {
            "step": found.state.step if found is not None else 0,
            "steps_total": parts.steps_total,
            "steps_per_epoch": parts.loader.steps_per_epoch,
            "epochs": section.epochs,
            "parameters": parameter_count(inputs.config),
            "rows_per_step": inputs.rows_per_step,
            "tokens_per_step": inputs.rows_per_step * inputs.config.max_sequence_length,
            "processes": parts.group.world_size,
            "plan": parts.plan.model_dump(mode="json"),
            "resumed": found is not None,
        },
    )
    parts.bus.publish("trainer.metrics.config.v1", section.model_dump(mode="json"))


def publish_failure(context: StageContext, error: LoquelaError) -> None:
    """trainer.job.failed, with the place where the error names one."""
    place = {key: value for key, value in error.details.items() if key in ("step", "epoch", "recoverable")}
    context.bus.publish(
        "trainer.job.failed.v1", {"code": error.code, "message": error.message, "recoverable": True, **place}
    )
