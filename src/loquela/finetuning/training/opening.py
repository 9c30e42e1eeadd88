"""Recipe, base and rows → a session: everything of a fine-tuning, live."""

from __future__ import annotations

import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from loquela.artifacts.base import Base
from loquela.artifacts.context import StageContext
from loquela.artifacts.examples_facts import read_template_record
from loquela.compute.devices import DevicePlan, choose_device
from loquela.core.errors import ErrorCode, RecipeError
from loquela.finetuning.training.adapter_folder import published_names
from loquela.finetuning.training.attention import NAME, register
from loquela.finetuning.training.collate import Layout
from loquela.finetuning.training.effective import check_compute, require_effective, settings_of
from loquela.finetuning.training.liger import apply_liger, check_liger
from loquela.finetuning.training.optimizers import build, check_effective
from loquela.finetuning.training.runner import HeldOutRows, TuningRunner
from loquela.finetuning.training.session import TuningSession
from loquela.finetuning.training.settings import loop_settings
from loquela.finetuning.training.strategy import check_strategy, host_first, spread_out
from loquela.finetuning.training.tasks import open_task, trainer_for
from loquela.models.pretrained.adapters import attach_new
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.load import DtypeName, QuantizationPlan, load_base_model
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe
from loquela.tokenizers.of_base import load_base_tokenizer
from loquela.training.distributed import Group


def section_of(recipe: Recipe) -> FinetuneSection:
    """The recipe's section `finetune`; RecipeError(CONFIG_INVALID) when it has none."""
    if recipe.finetune is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "the recipe has no section finetune", "write finetune: {base: <folder>}"
        )
    return recipe.finetune


def plan_for(recipe: Recipe) -> DevicePlan:
    """The arithmetic that this machine gives the recipe; under torchrun its cores are shared by the local ranks."""
    compute = recipe.compute
    if "LOCAL_WORLD_SIZE" in os.environ:
        compute = compute.model_copy(update={"processes": int(os.environ["LOCAL_WORLD_SIZE"])})
    return choose_device(compute, family="transformer").model_copy(update={"loader_workers": 0, "compile": False})


def open_session(context: StageContext, group: Group, plan: DevicePlan) -> TuningSession:
    """Load the base, attach what is trained, read the rows, make TRL's trainer.

    Raises RecipeError(CONFIG_INVALID) for what is asked for and would not hold, ResourceError(MISSING_EXTRA), and
    DataError as of `open_base`, `load_base_model`, `attach_new` and `open_rows`.
    """
    recipe, section = context.recipe, section_of(context.recipe)
    _check_asked(recipe, section, group, plan)
    base = open_base(context.inputs["base"])
    examples = context.inputs["examples"]
    placed = "cpu" if host_first(recipe.compute) else plan.device
    causal = _quietly_loaded(base, recipe, plan, placed)
    loop = loop_settings(section)
    rows = open_task(section, examples, base.identity, layout_of(section, causal.facts.attention))
    train, held_out, collator = rows.train, rows.held_out, rows.collator
    trainer = trainer_for(section, rows, causal, context.run_directory, device=placed, seed=recipe.seed)
    published = published_names(causal)
    made = spread_out(causal, recipe.compute, group, plan.device)
    optimizer = build(section, loop, causal.module, plan.device)
    runner = TuningRunner(
        trainer,
        causal.module,
        optimizer,
        loop,
        group,
        device=plan.device,
        precision=plan.precision,
        seed=recipe.seed,
        spread=made,
        idle=collator([min(train.rows, key=lambda row: len(row.ids))]) if made.in_shares else None,
    )
    require_effective(
        section,
        settings_of(section, causal, collator, optimizer),
        recipe.compute.gradient_checkpointing,
        causal.module,
    )
    return TuningSession(
        recipe=recipe,
        settings=section,
        loop=loop,
        causal=causal,
        tokenizer=load_base_tokenizer(base),
        train=train,
        held_out=held_out,
        collator=collator,
        runner=runner,
        optimizer=optimizer,
        validation=HeldOutRows(held_out, runner, collator, group, loop.batch_size),
        group=group,
        plan=plan,
        directory=context.run_directory,
        examples=examples,
        stop_ids=_stop_ids(base, examples),
        published=published,
        stop=context.stop,
    )


def _check_asked(recipe: Recipe, section: FinetuneSection, group: Group, plan: DevicePlan) -> None:
    """RecipeError(CONFIG_INVALID) for what is asked for and would not be effective here."""
    check_effective(section, plan.device)
    check_compute(recipe.compute)
    check_liger(section.liger, plan.device)
    check_strategy(section, recipe.compute, device=plan.device, precision=plan.precision, processes=group.world_size)


def _quietly_loaded(base: Base, recipe: Recipe, plan: DevicePlan, device: str) -> CausalModel:
    # It warns at its import of a faster kernel that it would fetch from a hub.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # PEFT takes the folder's name for that of the base, which the saved adapter has from the recipe; and it asks
        # for names that transformers will drop.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return trained_model(base, recipe, plan, device=device)


def _stop_ids(base: Base, examples: Path) -> frozenset[int]:
    """What the base stops at, and what the template of the rows ends answers with."""
    record = read_template_record(examples)
    return frozenset([*base.identity.eos_ids, *(record.ends if record else [])])


def trained_model(base: Base, recipe: Recipe, plan: DevicePlan, *, device: str | None = None) -> CausalModel:
    """The base with a new adapter, or all of it learning; the adapter's first weights are a function of the seed.

    It lies on `device`, else on the plan's.
    """
    section = section_of(recipe)
    full = section.method == "full"
    stored: DtypeName = "fp32" if full else plan.precision
    model = load_base_model(
        base,
        dtype=stored,
        quantization=quantization_of(section, plan),
        device=device or plan.device,
        attention=kernel_of(section, plan.device),
    )
    if section.liger:
        apply_liger(model)
    if recipe.compute.gradient_checkpointing:
        enable = getattr(model.network, "gradient_checkpointing_enable")  # noqa: B009 (no type of torch has it)
        enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if full:
        for parameter in model.module.parameters():
            parameter.requires_grad_(True)
        return model
    return attach_new(model, section.lora, seed=recipe.seed)


def quantization_of(section: FinetuneSection, plan: DevicePlan) -> QuantizationPlan | None:
    """How the base is stored under the recipe's method; the arithmetic is the plan's unless the recipe says another.

    RecipeError(CONFIG_INVALID) for a number format that this device cannot use well.
    """
    if section.method == "int8_lora":
        return QuantizationPlan("int8")
    if section.method != "qlora":
        return None
    options = section.quantization
    compute: DtypeName = plan.precision if options.compute == "auto" else options.compute
    if plan.device == "cpu" and compute == "fp16":
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "finetune.quantization.compute is fp16, which no processor computes in",
            "set finetune.quantization.compute: auto",
        )
    return QuantizationPlan(options.type, compute=compute, double=options.double)


def kernel_of(section: FinetuneSection, device: str) -> str:
    """The attention of transformers that the recipe means on this device."""
    wish = section.attention
    if wish == "auto":
        wish = "flash_attention_2" if device == "cuda" and find_spec("flash_attn") is not None else "sequences"
    return register() if wish == "sequences" else wish


def layout_of(section: FinetuneSection, attention: str) -> Layout:
    """How rows are laid out in a batch."""
    without_padding = (
        attention in (NAME, "flash_attention_2") if section.padding_free == "auto" else section.padding_free
    )
    kind: dict[bool, Literal["padded", "in_sequence"]] = {True: "in_sequence", False: "padded"}
    return kind[without_padding]
