"""Recipe, inputs and plan → the live objects of a training."""

from __future__ import annotations

import torch
from pydantic import JsonValue

from loquela.artifacts.checkpoints import Found, checkpoint_directory, next_version, verified
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.compute.devices import DevicePlan
from loquela.core.errors import ResourceError
from loquela.inference.contracts import GenerateRequest
from loquela.inference.model_engine import ModelEngine
from loquela.models.contract import LanguageModel
from loquela.training.checkpoint import Checkpointer
from loquela.training.distributed import Group
from loquela.training.export import exporter
from loquela.training.lineage import first_version
from loquela.training.loader import BatchLoader, LoaderSettings
from loquela.training.memory import out_of_memory
from loquela.training.opening import Inputs, initial_model
from loquela.training.optimizers import OptimizerSet, build_optimizer
from loquela.training.parts import Parts, Sample
from loquela.training.resuming import Changes, restore
from loquela.training.step import StepRunner
from loquela.training.validation import Validation


def assemble(inputs: Inputs, group: Group, plan: DevicePlan, found: Found | None, changes: Changes) -> Parts:
    """Build everything; weights and optimizer state are those of the checkpoint where there is one."""
    context, section = inputs.context, inputs.recipe.train
    model = _model(inputs, plan)
    optimizer = _optimizer(inputs, model, group)
    loader = _loader(inputs, plan, group)
    runner = StepRunner(
        model, optimizer, section, group, device=plan.device, precision=plan.precision, seed=inputs.recipe.seed
    )
    steps = section.epochs * loader.steps_per_epoch

    def no_memory(error: BaseException, step: int) -> ResourceError:
        return out_of_memory(
            error,
            inputs.config,
            section,
            processes=group.world_size,
            precision=plan.precision,
            gradient_checkpointing=inputs.recipe.compute.gradient_checkpointing,
            step=step,
        )

    parts = Parts(
        section=section,
        place="train",
        model=model,
        optimizer=optimizer,
        loader=loader,
        runner=runner,
        validation=Validation(inputs.validation_rows, runner, group, section.batch_size),
        group=group,
        plan=plan,
        bus=context.bus,
        run_directory=context.run_directory,
        stop=context.stop,
        steps_total=min(steps, section.max_steps or steps),
        identity=identity(inputs, group, plan, found, changes),
        load_checkpoint=lambda step: _reload(parts, step),
        out_of_memory=no_memory,
        checkpointer=_checkpointer(inputs) if group.leads else None,
        sample=sampler(inputs, model),
    )
    if found is not None:
        restore(parts, found, changes)
    return parts


def identity(
    inputs: Inputs, group: Group, plan: DevicePlan, found: Found | None, changes: Changes
) -> dict[str, JsonValue]:
    """The fields of a checkpoint's state that stay the same during a run."""
    recipe = inputs.recipe
    if found is None:
        version = first_version(inputs.context.run_directory, recipe.name, inputs.config_json)
    else:
        version = next_version(found.state.version, vocabulary=False, architecture=False, settings=bool(changes))
    return {
        "version": version,
        "seed": recipe.seed,
        "data_digest": inputs.data_digest,
        "tokenizer_digest": inputs.tokenizer_digest,
        "vocab_size": inputs.config.vocab_size,
        "training_config": recipe.model_dump(mode="json"),
        "plan": plan.model_dump(mode="json"),
        "world_size": group.world_size,
    }


def sampler(inputs: Inputs, model: LanguageModel) -> Sample:
    """A function that continues every fixed prompt of the recipe, drawn alike each time."""
    section, seed = inputs.recipe.evaluate, inputs.recipe.seed
    engine = ModelEngine(model, inputs.tokenizer, inputs.recipe.data.normalization)

    def sample() -> list[tuple[str, str]]:
        written = []
        for prompt in section.prompts:
            request = GenerateRequest(
                prompt_text=prompt,
                max_new_tokens=section.sample_tokens,
                temperature=section.temperature,
                seed=seed,
            )
            written.append((prompt, engine.generate(request).outputs[0]))
        return written

    return sample


def _model(inputs: Inputs, plan: DevicePlan) -> LanguageModel:
    model = initial_model(inputs).to(plan.device)
    model.gradient_checkpointing = inputs.recipe.compute.gradient_checkpointing
    if plan.compile:
        # Only what training calls: generating grows by one token at a time and would be compiled for ever.
        setattr(model, "hidden", torch.compile(model.hidden))  # noqa: B010
    return model


def _optimizer(inputs: Inputs, model: LanguageModel, group: Group) -> OptimizerSet:
    section = inputs.recipe.train
    tokens = inputs.rows_per_step * inputs.config.max_sequence_length
    return build_optimizer(
        section.optimizer, model, section.learning_rate, batch_tokens=max(1, tokens // group.world_size)
    )


def _loader(inputs: Inputs, plan: DevicePlan, group: Group) -> BatchLoader:
    section = inputs.recipe.train
    settings = LoaderSettings(
        section.batch_size,
        section.gradient_accumulation_steps,
        group.rank,
        group.world_size,
        workers=plan.loader_workers,
        prefetch_factor=inputs.recipe.compute.prefetch_factor,
        pin_memory=plan.pin_memory,
    )
    return BatchLoader(inputs.train_rows, inputs.data_digest, inputs.recipe.seed, settings, inputs.context.bus)


def _checkpointer(inputs: Inputs) -> Checkpointer:
    context = inputs.context
    return Checkpointer(
        context.run_directory,
        inputs.config_json,
        exporter(inputs.config, inputs.tokenizer, context.inputs["tokenizer"]),
        keep=inputs.recipe.train.keep_checkpoints,
        bus=context.bus,
    )


def _reload(parts: Parts, step: int) -> TrainingCheckpoint:
    """Back to an earlier checkpoint of this same run."""
    found = verified(checkpoint_directory(parts.run_directory, step))
    restore(parts, found, {})
    return found.state
