"""The recipe that `loquela init NAME --docs DIR` writes: documents → questions and answers → adapter → evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from loquela.recipe.dumping import quoted, yaml_value

CHUNK_CHARACTERS = 1200
PAIRS_PER_CHUNK = 3
HELD_OUT = 0.1
# Of few passages a tenth would be so few that perhaps no question rests on them.
FEW_PASSAGES, HELD_OUT_OF_FEW = 100, 0.25
MAX_TOKENS = 640
ROWS_AT_ONCE = 4
# Rows of one optimizer step: few where there is no GPU, since there the documents are few too.
STEP_ROWS = {True: 8, False: 16}
# Fewer optimizer steps than this teach an adapter little; more epochs than this, mostly to repeat. At the higher
# learning rate of few rows fewer do: of five small documents the loss on held-out rows grew from the fifth epoch on.
LEAST_STEPS = {True: 30, False: 60}
MOST_EPOCHS = {True: 5, False: 10}

SHORT_CANARY = "proofs: {canary_rows: 4}"

TEMPLATE = """\
# {name} learns from your documents. What is left out keeps its default; about a key: loquela config explain KEY
#   look ahead: loquela plan {path}      all at once: loquela run {path}
schema_version: 1
name: {name}  # runs are called {name}-<time>-<random>
data:
  sources:  # {documents}
{sources}
  splitter: {{method: recursive, chunk_size: {chunk}}}  # characters of one passage
  validation_fraction: {held_out}  # documents, or passages of few, that are never trained on
qa:  # questions and answers, each with its evidence in a passage
  provider: {provider}  # {provider_reason}
  pairs_per_chunk: {pairs}
  max_cost_usd: {cost}  # no request goes beyond it
  unanswerable_share: 0.15  # questions under the wrong passage: the model learns to say so
examples:
  max_tokens: {max_tokens}  # longest row, passage included
  on_overlong: drop  # counted in the ledger; error stops instead
finetune:
  base: {base}  # {reason}
  method: {method}  # lora, qlora (4-bit base), int8_lora, full
  lora: {{rank: 16, alpha: 32, dropout: 0.05}}
  epochs: {epochs}  # {epochs_reason}
  batch_size: {batch}
  gradient_accumulation_steps: {accumulation}  # rows of one step: {step_rows}
  learning_rate: {learning_rate}
{proofs}{compute}evaluate:
  tuned: {{rows: {tuned_rows}, max_new_tokens: 96}}  # base and adapter answer the same held-out rows
# track: [tensorboard]  # or wandb, mlflow
"""


@dataclass(frozen=True)
class Bot:
    """What the template leaves open, but for base and method."""

    name: str
    path: str
    sources: list[str]
    documents: str
    provider: str
    provider_reason: str
    passages: int
    rows: int
    slow: bool


def held_out(passages: int) -> float:
    """Share of the passages that is kept for the evaluation."""
    return HELD_OUT_OF_FEW if passages < FEW_PASSAGES else HELD_OUT


def bot_recipe(bot: Bot, base: str, method: str, reason: str = "") -> str:
    """The recipe's text."""
    step_rows = STEP_ROWS[bot.slow]
    steps_per_epoch = max(1, math.ceil(bot.rows / step_rows))
    epochs = min(MOST_EPOCHS[bot.slow], max(3, math.ceil(LEAST_STEPS[bot.slow] / steps_per_epoch)))
    return TEMPLATE.format(
        name=bot.name,
        path=bot.path,
        sources="\n".join(f"    - {quoted(each)}" for each in bot.sources),
        documents=bot.documents,
        chunk=CHUNK_CHARACTERS,
        held_out=held_out(bot.passages),
        provider=bot.provider,
        provider_reason=bot.provider_reason,
        pairs=PAIRS_PER_CHUNK,
        cost="0.0" if bot.provider == "offline" else "1.0",
        max_tokens=MAX_TOKENS,
        base=yaml_value(base),
        reason=reason,
        method=method,
        epochs=epochs,
        epochs_reason=f"about {epochs * steps_per_epoch} steps with the {bot.rows} rows expected",
        batch=ROWS_AT_ONCE,
        accumulation=step_rows // ROWS_AT_ONCE,
        step_rows=step_rows,
        proofs=f"  {SHORT_CANARY}  # learnt by heart before the training, to prove the way\n" if bot.slow else "",
        compute="" if bot.slow else "compute: {gradient_checkpointing: true}  # less memory, a little slower\n",
        learning_rate="0.0005" if bot.slow else "0.0002",
        tuned_rows=40 if bot.slow else 200,
    )
