"""What a recipe will take, predicted before it runs, and how the prediction held afterwards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pydantic import Field, JsonValue

from loquela.core.entry import resolve
from loquela.core.model import BoundaryModel
from loquela.models.config import model_config
from loquela.models.size import flops_per_token, memory_plan, parameter_count
from loquela.recipe.schema import ComputeSection, Recipe
from loquela.runs.manifest import TrainingRunManifest
from loquela.runs.prerequisites import required_disk_mb

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
STORIES = "builtin:stories"
STORY_PAIR_BYTES = 1958

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


class Plan(BoundaryModel):
    """Predictions; `assumptions` says where each number that was not counted comes from."""

    parameters: int
    flops_per_token: int
    corpus_mb: float
    train_tokens: int
    steps_total: int
    tokens_total: int
    memory_mb: dict[str, float]
    disk_mb: float
    tokens_per_second: float
    training_minutes: float
    assumptions: list[str] = Field(default_factory=list)


def plan_run(recipe: Recipe) -> Plan | None:
    """Predict parameters, tokens, steps, memory by part, disk and minutes; runs a matrix probe of about 0.1 s.

    None for a recipe that fine-tunes: what these predictions speak of is a network trained from scratch.
    """
    if recipe.finetune is not None:
        return None
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


def corpus_size(recipe: Recipe) -> tuple[float, str]:
    """Bytes of text: counted where the sources are local, else what the recipe expects; and which of the two."""
    total, counted = 0.0, True
    for entry in recipe.data.entries:
        path = Path(entry.address).expanduser()
        if entry.address == STORIES:
            total += recipe.data.stories * STORY_PAIR_BYTES
        elif path.is_file():
            total += path.stat().st_size
        elif path.is_dir():
            total += sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
        else:
            counted = False
    if not counted:
        return recipe.data.corpus_size_mb * 1e6, "corpus: data.corpus_size_mb, since a source is not on this machine"
    return total, "corpus: sizes of the local files and of the story generator's average pair"


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
    train = manifest.stages.get("train")
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
    predicted: dict[str, float] = {
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
