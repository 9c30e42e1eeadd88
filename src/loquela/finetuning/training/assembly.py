"""A session → the live objects that the training loop works with."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.adapter import KIND
from loquela.artifacts.checkpoints import Found, checkpoint_directory, next_version, verified
from loquela.artifacts.context import StageContext
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.core.errors import ErrorCode, ResourceError
from loquela.finetuning.training.adapter_folder import exporter
from loquela.finetuning.training.loader import TuningLoader
from loquela.finetuning.training.resuming import network_of, restore
from loquela.finetuning.training.saved_state import trained_names
from loquela.finetuning.training.session import TuningSession
from loquela.training.checkpoint import Checkpointer
from loquela.training.lineage import first_version
from loquela.training.loader import LoaderSettings
from loquela.training.memory import smaller_batch
from loquela.training.parts import Parts
from loquela.training.resuming import Changes

ADAPTER_DIRECTORY = "adapter"


def assemble(
    context: StageContext, session: TuningSession, data_digest: str, found: Found | None, changes: Changes
) -> Parts:
    """Build everything; weights and optimizer state are those of the checkpoint where there is one."""
    loop, group = session.loop, session.group
    trained = trained_names(session.model)
    loader = TuningLoader(
        session.train,
        session.collator,
        data_digest,
        session.recipe.seed,
        LoaderSettings(loop.batch_size, loop.gradient_accumulation_steps, group.rank, group.world_size),
        context.bus,
    )
    steps = loop.epochs * loader.steps_per_epoch
    parts = Parts(
        section=loop,
        place="finetune",
        model=session.model,
        optimizer=session.optimizer,
        loader=loader,
        runner=session.runner,
        validation=session.validation,
        group=group,
        plan=session.plan,
        bus=context.bus,
        run_directory=context.run_directory,
        stop=context.stop,
        steps_total=min(steps, loop.max_steps or steps),
        identity=_identity(context, session, data_digest, found, changes),
        load_checkpoint=lambda step: _reload(context, session, step),
        out_of_memory=lambda error, step: _out_of_memory(session, error, step),
        checkpointer=_checkpointer(context, session) if group.leads else None,
        keeps=trained.__contains__,
    )
    if found is not None:
        restore(session, found, changes)
    return parts


def _identity(
    context: StageContext, session: TuningSession, data_digest: str, found: Found | None, changes: Changes
) -> dict[str, JsonValue]:
    """The fields of a checkpoint's state that stay the same during a run."""
    if found is None:
        version = first_version(context.run_directory, session.recipe.name, network_of(session))
    else:
        version = next_version(found.state.version, vocabulary=False, architecture=False, settings=bool(changes))
    identity = session.causal.base.identity
    return {
        "version": version,
        "seed": session.recipe.seed,
        "data_digest": data_digest,
        "tokenizer_digest": identity.digest,
        "vocab_size": identity.vocab_size,
        "training_config": session.recipe.model_dump(mode="json"),
        "plan": session.plan.model_dump(mode="json"),
        "world_size": session.group.world_size,
    }


def _checkpointer(context: StageContext, session: TuningSession) -> Checkpointer:
    return Checkpointer(
        context.run_directory,
        network_of(session),
        exporter(session.causal, session.published, context.inputs["examples"]),
        keep=session.loop.keep_checkpoints,
        bus=context.bus,
        kind=KIND,
        final_name=ADAPTER_DIRECTORY,
    )


def _reload(context: StageContext, session: TuningSession, step: int) -> TrainingCheckpoint:
    """Back to an earlier checkpoint of this same run."""
    found = verified(checkpoint_directory(context.run_directory, step))
    restore(session, found, {})
    return found.state


def _out_of_memory(session: TuningSession, error: BaseException, step: int) -> ResourceError:
    """ResourceError(OOM) with a batch that fits and has the same effect."""
    loop = session.loop
    proposal = smaller_batch(loop.batch_size, loop.gradient_accumulation_steps)
    if proposal is None:
        remedy = "set compute.gradient_checkpointing: true, or examples.max_tokens lower, or choose a smaller base"
    else:
        remedy = (
            f"set finetune.batch_size: {proposal[0]} and finetune.gradient_accumulation_steps: {proposal[1]} (the "
            f"same {proposal[0] * proposal[1]} rows per step), then run again with --resume auto"
        )
    return ResourceError(
        ErrorCode.OOM,
        f"out of memory at step {step}, in batches of {loop.batch_size} rows of up to "
        f"{max(len(row.ids) for row in session.training_rows):,} tokens: "
        f"{(str(error).splitlines() or ['no memory left'])[0]}",
        remedy,
        details={"step": step, "batch_size": proposal[0] if proposal else loop.batch_size},
    )
