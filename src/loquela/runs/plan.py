"""What a recipe will take, predicted before it runs, and how the prediction held afterwards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.core.entry import resolve
from loquela.core.model import BoundaryModel
from loquela.models.config import model_config
from loquela.models.size import flops_per_token, memory_plan, parameter_count
from loquela.recipe.schema import Recipe
from loquela.runs.manifest import TrainingRunManifest
from loquela.runs.prerequisites import required_disk_mb

# UTF-8 bytes per token of English and Spanish prose, measured on held-out text of the reference corpus at the
# vocabulary sizes named; other sizes are interpolated on the logarithm.
BYTES_PER_TOKEN = {
    "char": ((256, 1.0), (8000, 1.03)),
    "word": ((8000, 4.9), (32000, 5.2)),
    "subword": ((1000, 2.35), (2000, 2.8), (4000, 3.2), (8000, 3.6), (32000, 4.2)),
}
STORY_PAIR_BYTES = 1958
# Share of the matrix ceiling that whole training steps reach on the machines measured so far.
EFFICIENCY = 0.6

Speed = Callable[[Recipe], float]


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


def plan_run(recipe: Recipe) -> Plan:
    """Predict parameters, tokens, steps, memory by part, disk and minutes; runs a matrix probe of about 0.1 s."""
    config = model_config(recipe.model, recipe.tokenizer.vocab_size)
    corpus_bytes, corpus_said = corpus_size(recipe)
    per_token, tokens_said = bytes_per_token(recipe.tokenizer.method, recipe.tokenizer.vocab_size)
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
    rate = measured(recipe) * EFFICIENCY / flops_per_token(config)
    row_tokens = recipe.train.batch_size * recipe.train.gradient_accumulation_steps * recipe.model.max_sequence_length
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
            f"speed: {EFFICIENCY:.0%} of the matrix speed probed on this machine now",
        ],
    )


def steps_of(recipe: Recipe, train_tokens: int) -> int:
    """Optimizer steps: the last, smaller batch of every epoch counts."""
    rows = math.ceil(max(1, train_tokens - 1) / recipe.model.max_sequence_length)
    per_step = recipe.train.batch_size * recipe.train.gradient_accumulation_steps
    steps = math.ceil(rows / per_step) * recipe.train.epochs
    return min(steps, recipe.train.max_steps or steps)


def corpus_size(recipe: Recipe) -> tuple[float, str]:
    """Bytes of text: counted where the sources are local, else what the recipe expects; and which of the two."""
    total, counted = 0.0, True
    for source in recipe.data.sources:
        path = Path(source).expanduser()
        if source == "builtin:stories":
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


def bytes_per_token(method: str, vocab_size: int) -> tuple[float, str]:
    """Expected UTF-8 bytes per token, log-interpolated in the vocabulary size."""
    table = BYTES_PER_TOKEN.get(method, BYTES_PER_TOKEN["subword"])
    if vocab_size <= table[0][0]:
        value = table[0][1]
    elif vocab_size >= table[-1][0]:
        value = table[-1][1]
    else:
        (low, a), (high, b) = next(pair for pair in itertools.pairwise(table) if pair[0][0] <= vocab_size <= pair[1][0])
        value = a + (b - a) * math.log(vocab_size / low) / math.log(high / low)
    return value, f"tokens: {value:.2f} bytes each, as measured on English and Spanish prose"


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
