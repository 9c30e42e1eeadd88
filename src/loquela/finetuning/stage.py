"""The stage that fine-tunes: a base and rows → checkpoints, `best/` and `adapter/` in the run's folder.

    base, rows ─► proofs ─► session ─► proofs ─► newest valid checkpoint, if any ─► the training loop
    the trained model ─► adapter/ ─► proofs

With `compute.processes` > 1 the same happens in as many processes, which torchrun starts.
"""

from __future__ import annotations

import os

from pydantic import JsonValue

from loquela.artifacts.base import located_base
from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.training_records import final_metrics
from loquela.compute.apply import apply_plan
from loquela.compute.devices import DevicePlan
from loquela.core.atomic import write_json
from loquela.core.errors import LoquelaError
from loquela.finetuning.proofs.around import ProofsAround
from loquela.finetuning.proofs.rows_table import prove_rows
from loquela.finetuning.training import strategy
from loquela.finetuning.training.accelerate_config import NAME as ACCELERATE_NAME
from loquela.finetuning.training.accelerate_config import accelerate_settings
from loquela.finetuning.training.adapter_folder import read_into
from loquela.finetuning.training.assembly import ADAPTER_DIRECTORY, assemble
from loquela.finetuning.training.facts import effective_record, facts_of, publish_start
from loquela.finetuning.training.opening import open_session, plan_for
from loquela.finetuning.training.resuming import OPTIMIZER_KEY, check_resumable
from loquela.finetuning.training.session import TuningSession
from loquela.monitoring.events import SilentBus
from loquela.training.checkpoint import BEST_DIRECTORY
from loquela.training.distributed import Group, start_group
from loquela.training.launch import train_in_processes
from loquela.training.loop import resume_loop
from loquela.training.parts import Parts
from loquela.training.planning import agreed_plan, allocate_device, resumed_plan
from loquela.training.records import forget_after
from loquela.training.reporting import Reporter
from loquela.training.resuming import Changes, find_checkpoint, tell_resumed
from loquela.training.stage import publish_failure

ENTRY = "loquela.finetuning.stage:finetune_here"
EFFECTIVE_NAME = "effective_settings.json"


def finetune(context: StageContext) -> StageResult:
    """Fine-tune, or go on with it; writes into `context.run_directory`.

    Raises what the loop raises (see TrainingLoop.run), what opening the session raises, ProofError for a proof that
    does not hold, and DataError(CHECKPOINT_INCOMPATIBLE, DATA_CHANGED) for a checkpoint that this recipe cannot go
    on from.
    """
    if context.recipe.compute.processes > 1 and "WORLD_SIZE" not in os.environ:
        return train_in_processes(context, ENTRY)
    return finetune_here(context)


def finetune_here(context: StageContext) -> StageResult:
    """Fine-tune in this process, alone or as one rank of those that torchrun started."""
    plan = plan_for(context.recipe)
    with start_group(plan.device) as group:
        if not group.leads:
            context.bus = SilentBus()
        try:
            return _finetune(context, group, agreed_plan(plan, group))
        except LoquelaError as error:
            publish_failure(context, error)
            raise


def _finetune(context: StageContext, group: Group, plan: DevicePlan) -> StageResult:
    data_digest = read_manifest(context.inputs["examples"]).digest
    found = find_checkpoint(context, group)
    if found is None:
        _prove_rows(context, group)
    if found is not None:
        plan = resumed_plan(context.recipe, plan, found.state, group.world_size, context.bus)
    allocate_device(plan, group, context.bus)
    apply_plan(plan)
    session = open_session(context, group, plan)
    changes: Changes = check_resumable(session, found, data_digest) if found is not None else {}
    if found is not None:
        _prove_rows(context, group)
    _save_effective(context, session)
    proofs = ProofsAround(session, context.bus)
    if group.leads or session.in_shares:
        proofs.before(resumed=found is not None)
    group.wait_for_all()
    if strategy.begin(session):
        _save_effective(context, session)
    parts = assemble(context, session, data_digest, found, changes)
    try:
        if found is not None:
            tell_resumed(context.bus, found, str(parts.identity["version"]), changes, OPTIMIZER_KEY)
        if group.leads:
            forget_after(context.run_directory, found.state.step if found is not None else -1)
        if session.runner.spread.name == "ddp":
            group.prove_equal(parts.model)
        publish_start(parts, session, resumed=found is not None)
        state = resume_loop(parts, found.state if found is not None else None).run()
        history = state.epoch_history
        final = final_metrics(history, state.training_seconds) if history else None
        strategy.end(session)
        facts = facts_of(parts, session, state, final)
        if group.leads or session.in_shares:
            _hand_on(context, session, parts, proofs, data_digest, facts)
        if group.leads:
            Reporter(parts, state.step).write_metrics(history, final)
        group.wait_for_all()
    finally:
        if parts.checkpointer is not None:
            parts.checkpointer.close()
    parts.bus.publish("trainer.metrics.completed.v1", final.model_dump(mode="json") if final else {})
    parts.bus.publish("trainer.job.completed.v1", facts)
    losses = f", training loss {history[-1].train_loss:.4f}, validation loss {history[-1].validation_loss:.4f}"
    return StageResult(facts=facts, summary=f"{state.step} steps{losses if history else ''}")


def _prove_rows(context: StageContext, group: Group) -> None:
    """What can be known of rows without a model. Gone on with, that they are those of before is looked at first."""
    if group.leads:
        base = located_base(context.inputs["base"])
        prove_rows(context.inputs["examples"], base, context.run_directory, context.bus)


def _hand_on(
    context: StageContext,
    session: TuningSession,
    parts: Parts,
    proofs: ProofsAround,
    data_digest: str,
    facts: dict[str, JsonValue],
) -> None:
    """Write `adapter/`: the weights that `hand_on` names, put back into the live model, and proven.

    Of a network in shares every rank must come here; one writes.
    """
    best = context.run_directory / BEST_DIRECTORY
    together = session.group if session.in_shares else Group()
    together.wait_for_all()
    if facts["adapter_step"] != facts["steps"]:
        read_into(session.causal, best, session.published)
    weights = parts.whole_model()
    parents = {"base": read_manifest(context.inputs["base"]).digest, "examples": data_digest}
    if parts.checkpointer is not None:
        parts.checkpointer.write_final(weights, facts, parents)
    together.wait_for_all()
    adapter = context.run_directory / ADAPTER_DIRECTORY
    proofs.after(adapter, lambda folder: read_into(session.causal, folder, session.published))


def _save_effective(context: StageContext, session: TuningSession) -> None:
    """What was asked for beside what holds: printed, and kept with the run."""
    if not session.group.leads:
        return
    record = effective_record(session)
    write_json(context.run_directory / EFFECTIVE_NAME, record)
    write_json(context.run_directory / ACCELERATE_NAME, accelerate_settings(session))
    context.bus.publish("finetune.effective_settings.v1", record)
