"""What a recipe will take, predicted before it runs, and how the prediction held afterwards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Protocol

from pydantic import JsonValue

from loquela.compute.plan import Plan
from loquela.core.entry import resolve
from loquela.finetuning.planning.plan import TuningPlan
from loquela.models.config import model_config
from loquela.models.size import flops_per_token, memory_plan, parameter_count
from loquela.recipe.schema import ComputeSection, Recipe
from loquela.runs.corpus_size import STORIES, corpus_size
from loquela.runs.manifest import TrainingRunManifest
from loquela.runs.prerequisites import required_disk_mb
from loquela.runs.tuning_plan import plan_if_known

# UTF-8 bytes per token on held-out text, by vocabulary size; other sizes are interpolated on the logarithm, sizes
# beyond the ends take the end's value. Prose: the reference corpus of English and Spanish books (3 MB), where
# unigram at 8000 lies within 3 % of bpe. Stories: what the built-in generator writes.
PROSE_BYTES_PER_TOKEN = {
    "char": ((256, 1.02),),
    "word": ((8000, 4.66),),
    "subword": ((500, 1.92), (1000, 2.35), (2000, 2.71), (4000, 3.07), (8000, 3.40), (32000, 3.90)),
}
STORIES_BYTES_PER_TOKEN = {
    "char": ((256, 1.02),),
    "word": ((4000, 4.31),),
    "subword": ((500, 1.95), (1000, 2.52), (2000, 3.24), (4000, 3.80), (8000, 4.21)),
}

# A training step's time, fitted to quiet runs on 2 cores (2 threads, fp32, AVX-512, oneDNN) of the reference model
# (2 × 128, vocabulary 8000: 25 200 to 28 500 tokens/s), the same with vocabulary 2000 (43 200 to 47 000) and a
# model of 1 × 32 whose steps of few tokens are all overhead. The matrix probe there said 340 to 470 GFLOP/s for both
# threads, by the hour; the fit is at 400.
MATRIX_EFFICIENCY = 0.83  # share of the probe's speed that the step's products reach
# Nanoseconds of one thread, bound by memory and not by the speed of products.
WIDTH_NANOSECONDS = 72.0  # norms, activations, attention's softmax: per token, layer and unit of d_model
VOCABULARY_NANOSECONDS = 0.4  # softmax of the head, forward and backward: per token and entry
STEP_SECONDS = 0.006  # loop, optimizer's dispatch, logging
LAYER_SECONDS = 0.001  # dispatch of a layer's operations, per micro-batch

Speed = Callable[[Recipe], float]


class Threads(Protocol):
    """The part of a compute provider that a plan asks."""

    def threads(self) -> int:
        """Threads of each process."""


def plan_run(recipe: Recipe, *, read_documents: bool = False) -> Plan | None:
    """Predict parameters, tokens, steps, memory by part, disk and minutes; runs a matrix probe of about 0.1 s.

    Of a recipe that fine-tunes it predicts more (TuningPlan); None while the shape of its base is not known here.
    `read_documents`: those that rows are still to be made of are read for a nearer estimate, which takes a while.
    """
    if recipe.finetune is not None:
        return plan_if_known(recipe, read_documents=read_documents)
    config = model_config(recipe.model, recipe.tokenizer.vocab_size)
    corpus_bytes, corpus_said = corpus_size(recipe)
    is_stories = {entry.address for entry in recipe.data.entries} == {STORIES}
    per_token, tokens_said = bytes_per_token(recipe.tokenizer.method, recipe.tokenizer.vocab_size, stories=is_stories)
    held_out = recipe.data.validation_fraction + recipe.data.test_fraction
    tokens = max(1, round(corpus_bytes * (1 - held_out) / per_token))
    steps = steps_of(recipe, tokens)
    memory = memory_plan(
        config,
        batch_size=recipe.train.batch_size,
        optimizer=recipe.train.optimizer.name,
        gradient_checkpointing=recipe.compute.gradient_checkpointing,
    )
    measured: Speed = resolve("loquela.compute.preflight:matrix_flops_per_second")
    row_tokens = recipe.train.batch_size * recipe.train.gradient_accumulation_steps * recipe.model.max_sequence_length
    provider: Callable[[ComputeSection], Threads] = resolve("loquela.compute.provider:LocalProvider")
    rate = row_tokens / step_seconds(recipe, measured(recipe), provider(recipe.compute).threads())
    total = min(steps * row_tokens, tokens * recipe.train.epochs)
    return Plan(
        parameters=parameter_count(config),
        flops_per_token=flops_per_token(config),
        corpus_mb=round(corpus_bytes / 1e6, 3),
        train_tokens=tokens,
        steps_total=steps,
        tokens_total=total,
        memory_mb={name.removesuffix("_bytes"): round(size / 2**20, 1) for name, size in memory.model_dump().items()},
        disk_mb=round(required_disk_mb(recipe), 1),
        tokens_per_second=round(rate, 1),
        training_minutes=round(total / rate / 60, 2),
        assumptions=[
            corpus_said,
            tokens_said,
            "speed: the matrix speed probed on this machine's processor now, and what else a step was measured to cost",
        ],
    )


def steps_of(recipe: Recipe, train_tokens: int) -> int:
    """Optimizer steps: the last, smaller batch of every epoch counts."""
    rows = math.ceil(max(1, train_tokens - 1) / recipe.model.max_sequence_length)
    per_step = recipe.train.batch_size * recipe.train.gradient_accumulation_steps
    steps = math.ceil(rows / per_step) * recipe.train.epochs
    return min(steps, recipe.train.max_steps or steps)


def step_seconds(recipe: Recipe, flops_per_second: float, threads: int) -> float:
    """Seconds of an optimizer step on the CPU: products, work bound by memory, and what a step costs at any size.

    `flops_per_second` is the probed matrix speed of one process with its `threads`; a process does its share of
    every micro-batch.
    """
    config = model_config(recipe.model, recipe.tokenizer.vocab_size)
    micro_batches = recipe.train.gradient_accumulation_steps
    rows = math.ceil(recipe.train.batch_size / recipe.compute.processes) * micro_batches
    products = flops_per_token(config) / (MATRIX_EFFICIENCY * flops_per_second)
    passes = WIDTH_NANOSECONDS * config.num_layers * config.d_model + VOCABULARY_NANOSECONDS * config.vocab_size
    overhead = STEP_SECONDS + LAYER_SECONDS * config.num_layers * micro_batches
    return rows * recipe.model.max_sequence_length * (products + 1e-9 * passes / threads) + overhead


def bytes_per_token(method: str, vocab_size: int, *, stories: bool = False) -> tuple[float, str]:
    """Expected UTF-8 bytes per token, log-interpolated in the vocabulary size; and on which text it was measured."""
    tables = STORIES_BYTES_PER_TOKEN if stories else PROSE_BYTES_PER_TOKEN
    table = tables.get(method, tables["subword"])
    if vocab_size <= table[0][0]:
        value = table[0][1]
    elif vocab_size >= table[-1][0]:
        value = table[-1][1]
    else:
        (low, a), (high, b) = next(pair for pair in itertools.pairwise(table) if pair[0][0] <= vocab_size <= pair[1][0])
        value = a + (b - a) * math.log(vocab_size / low) / math.log(high / low)
    return (
        value,
        f"tokens: {value:.2f} bytes each, as measured on {'the stories' if stories else 'English and Spanish prose'}",
    )


def actual_against_plan(plan: Plan, manifest: TrainingRunManifest) -> JsonValue:
    """Rows of {what, predicted, actual, ratio} for everything that the run measured."""
    train = manifest.stages.get("finetune" if isinstance(plan, TuningPlan) else "train")
    shards = manifest.stages.get("prepare")
    if train is None:
        return []
    facts = dict(train.facts)
    splits = shards.facts.get("splits") if shards is not None else None
    tokens = splits.get("train") if isinstance(splits, dict) else None
    if isinstance(tokens, dict):
        facts["train_tokens"] = tokens.get("tokens")
    seconds = facts.get("seconds")
    if isinstance(seconds, int | float):
        facts["training_minutes"] = round(seconds / 60, 2)
    of_tuning = {"trained_parameters": plan.trained_parameters} if isinstance(plan, TuningPlan) else {}
    predicted: dict[str, float] = {
        **of_tuning,
        "parameters": plan.parameters,
        "train_tokens": plan.train_tokens,
        "steps_total": plan.steps_total,
        "tokens_per_second": plan.tokens_per_second,
        "training_minutes": plan.training_minutes,
        "peak_memory_mb": plan.memory_mb["total"],
    }
    return [
        {
            "what": what,
            "predicted": expected,
            "actual": actual,
            "ratio": round(actual / expected, 3) if expected else None,
        }
        for what, expected in predicted.items()
        if isinstance(actual := facts.get(what), int | float)
    ]
