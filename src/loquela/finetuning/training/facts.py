"""What a fine-tuning says about itself: what is about to happen, what really holds, what came of it."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.training_records import FinalMetrics, TrainingCheckpoint
from loquela.compute.memory import peak_memory_bytes
from loquela.finetuning.training.liger import exchanged
from loquela.finetuning.training.session import TuningSession
from loquela.finetuning.verification import get_trainable_parameters_summary
from loquela.training.parts import Parts


def facts_of(
    parts: Parts, session: TuningSession, state: TrainingCheckpoint, final: FinalMetrics | None
) -> dict[str, JsonValue]:
    """What the manifest of `adapter/` says about the training; `tokens` are learnt ones."""
    seconds = state.training_seconds - state.evaluation_seconds
    summary = get_trainable_parameters_summary(session.model)
    pauses = parts.checkpointer.pauses_seconds if parts.checkpointer is not None else []
    best = state.best
    return {
        "version": state.version,
        "task": session.settings.task,
        "method": session.settings.method,
        "base": session.causal.base.identity.source,
        "base_digest": session.causal.base.identity.digest,
        "quantization": _quantization(session),
        "steps": state.step,
        "steps_total": parts.steps_total,
        "adapter_step": best.step if best is not None and session.settings.hand_on == "best" else state.step,
        "epochs": len(state.epoch_history),
        "train_loss": state.epoch_history[-1].train_loss if state.epoch_history else None,
        "validation_loss": state.epoch_history[-1].validation_loss if state.epoch_history else None,
        "best_validation_loss": best.validation_loss if best else None,
        "best_epoch": best.epoch if best else None,
        "overfitting_detected": final.overfitting_detected if final else None,
        "convergence_achieved": final.convergence_achieved if final else None,
        "rows": session.train.count,
        "tokens": state.tokens_seen,
        "tokens_per_second": round(state.tokens_seen / seconds, 1) if seconds > 0 else None,
        "seconds": round(state.training_seconds, 3),
        "evaluation_seconds": round(state.evaluation_seconds, 3),
        "parameters": session.causal.base.identity.parameters,
        "trained_parameters": summary.trainable_parameters,
        "skipped_steps": state.ladder.skipped_total,
        "rollbacks": state.ladder.rollbacks,
        "checkpoint_pause_seconds_max": round(max(pauses), 4) if pauses else None,
        "peak_memory_mb": round(peak_memory_bytes() / 2**20, 1),
        "processes": parts.group.world_size,
        "effective": session.effective_settings(),
        "plan": parts.plan.model_dump(mode="json"),
    }


def _quantization(session: TuningSession) -> JsonValue:
    """How the base was stored while the adapter learnt, as a merge needs it; null where it was not quantised."""
    facts = session.causal.facts
    if facts.quantization is None:
        return None
    double = session.settings.quantization.double
    return {"kind": facts.quantization, "compute": facts.compute_dtype, "double": double}


def effective_record(session: TuningSession) -> dict[str, JsonValue]:
    """`effective_settings.json`: each setting that the machine decides about, as asked for and as it holds."""
    whole = session.settings.model_dump(mode="json")
    effective: dict[str, JsonValue] = {
        f"finetune.{key}": {"requested": _at(whole, key), "effective": value}
        for key, value in session.effective_settings().items()
    }
    if layers := exchanged(session.causal.network):
        effective["finetune.liger"] = {"requested": True, "effective": True, "layers": {**layers}}
    for name in ("device", "precision", "threads", "linear_kernel", "deterministic"):
        asked: JsonValue = session.recipe.compute.model_dump(mode="json").get(name)
        effective[f"compute.{name}"] = {"requested": asked, "effective": getattr(session.plan, name)}
    effective["compute.strategy"] = {
        "requested": session.recipe.compute.strategy,
        "effective": session.runner.spread.describe(),
    }
    effective["compute.gradient_checkpointing"] = {
        "requested": session.recipe.compute.gradient_checkpointing,
        "effective": any(getattr(module, "gradient_checkpointing", False) for module in session.model.modules()),
    }
    return effective


def publish_start(parts: Parts, session: TuningSession, *, resumed: bool) -> None:
    """trainer.job.started and trainer.metrics.config: what is about to happen, in numbers."""
    section = parts.section
    rows = section.batch_size * section.gradient_accumulation_steps
    summary = get_trainable_parameters_summary(session.model)
    parts.bus.publish(
        "trainer.job.started.v1",
        {
            "steps_total": parts.steps_total,
            "steps_per_epoch": parts.loader.steps_per_epoch,
            "epochs": section.epochs,
            "parameters": session.causal.base.identity.parameters,
            "trained_parameters": summary.trainable_parameters,
            "rows": session.train.count,
            "rows_per_step": rows,
            "processes": parts.group.world_size,
            "plan": parts.plan.model_dump(mode="json"),
            "resumed": resumed,
        },
    )
    parts.bus.publish("trainer.metrics.config.v1", session.settings.model_dump(mode="json"))


def _at(values: dict[str, JsonValue], key: str) -> JsonValue:
    found: JsonValue = values
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
