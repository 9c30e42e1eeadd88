"""The files of the demo: its document and two recipes, of a tiny base and of the fine-tuning."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from loquela.recipe.dumping import quoted

DOCUMENT = "handbook.md"
BASE_RECIPE = "base.yaml"
RECIPE = "recipe.yaml"
BASE_FOLDER = "base"

BASE_TEMPLATE = """\
# A tiny Llama that knows nothing but the built-in stories: the base of the demo, made here in half a minute.
schema_version: 1
name: demo-base
output_directory: {output}
data: {{sources: ["builtin:stories"], stories: 800, corpus_size_mb: 3, validation_fraction: 0.02}}
tokenizer: {{method: bpe, vocab_size: 3000}}
model:
  num_layers: 4
  d_model: 160
  num_heads: 4
  dim_feedforward: 432
  max_sequence_length: 256
  positions: rotary
  norm: rmsnorm
  activation: swiglu
  bias: false
train: {{max_steps: 100, batch_size: 16, gradient_accumulation_steps: 1, learning_rate: 0.003, log_every_steps: 5}}
evaluate: {{prompts: ["Once upon a time"], sample_tokens: 20}}
"""

TEMPLATE = """\
# Questions and answers from {document} teach the tiny base one document. What each key does: loquela config explain KEY
schema_version: 1
name: demo
output_directory: {output}
data:
  sources: [{source}]
  splitter: {{method: recursive, chunk_size: 520, structure: markdown}}  # about one section a passage
  validation_fraction: 0.2  # passages that are never trained on
  corpus_size_mb: 1
qa: {{provider: offline, pairs_per_chunk: 3, rows: closed_book, unanswerable_share: 0}}  # rules: no key, no cost
examples: {{max_tokens: 200}}
finetune:
  base: {base}
  lora: {{rank: {rank}, alpha: {alpha}, dropout: 0.0}}
  epochs: {epochs}
  batch_size: 4
  gradient_accumulation_steps: 1
  learning_rate: {learning_rate}
  hand_on: last  # the facts of the handbook are what is wanted; best would hand on what does best on unseen ones
  proofs: {{canary_rows: 2, canary_steps: {canary_steps}, canary_learning_rate: {canary_rate}}}
evaluate:
  tuned: {{rows: 20, max_new_tokens: 32, forgetting: false}}
{compute}"""


def write_files(folder: Path, base: str | None) -> None:
    """Document and recipes below `folder`; those that are there stay as they are. `base` takes the tiny one's place."""
    from loquela.core.atomic import write_text

    output = quoted(str(folder / "data"))
    document = resources.files("loquela.cli.demo").joinpath(DOCUMENT).read_text(encoding="utf-8")
    text = TEMPLATE.format(
        output=output,
        document=DOCUMENT,
        source=quoted(str(folder / DOCUMENT)),
        base=quoted(base or str(folder / BASE_FOLDER)),
        # A tiny base has room for large steps; a real one has not.
        compute="compute: {threads: 1}  # more of them would only wait for each other\n" if base is None else "",
        rank=32 if base is None else 16,
        alpha=64 if base is None else 32,
        epochs=100 if base is None else 8,
        learning_rate="0.003" if base is None else "0.0005",
        canary_steps=150 if base is None else 30,
        canary_rate="0.003" if base is None else "0.001",
    )
    for name, content in (
        (DOCUMENT, document),
        (BASE_RECIPE, BASE_TEMPLATE.format(output=output)),
        (RECIPE, text),
    ):
        if not (folder / name).exists():
            write_text(folder / name, content)
