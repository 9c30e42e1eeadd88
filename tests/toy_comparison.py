"""Held-out examples with token rows in ChatML for the toy bases, as the examples stage would make them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.examples import Example, ExampleLineage, ExamplesWriter, Message, with_id
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import TokenSequence, write_token_rows
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import Recipe
from loquela.tokenizers.template_text import open_template_tokenizer
from toy_bases import toy_base

REFUSAL = "The passage does not say."


def example(
    question: str, answer: str, *, split: str = "test", variant_of: str | None = None, **labels: str
) -> Example:
    return with_id(
        Example(
            id="",
            kind="messages",
            messages=[Message(role="user", content=question), Message(role="assistant", content=answer)],
            language="en",
            split=split,
            lineage=ExampleLineage(source="toy", document="d1"),
            labels=labels,
            variant_of=variant_of,
        )
    )


def toy_examples(count: int = 10) -> list[Example]:
    """Questions, one row with JSON, one with a source, one that its passage does not answer, and a training row."""
    rows = [
        example(f"Where does river {number} run?", f"It runs under bridge {number}.") for number in range(count - 3)
    ]
    passage = "Answer from this passage.\n\nThe old mill is stone.\n\nQuestion: Where is the river?"
    rows += [
        example("Give the answer as JSON.", '{"answer": [1, 2.5, true]}'),
        example("Where is it written?", "It runs under the bridge [1]."),
        example(passage, REFUSAL, form="open_book", answerable="no"),
        example("Where does the mill stand?", "It runs past the old mill.", split="train"),
    ]
    return rows


def write_examples(
    directory: Path, examples: Sequence[Example] | None = None, *, base: Path | None = None, weight: float = 1.0
) -> Path:
    """An examples folder: rows of one sequence each, the answer and its <|im_end|> learnt with `weight`."""
    rows = list(toy_examples() if examples is None else examples)
    tokenizer = open_template_tokenizer(base or toy_base())
    directory.mkdir(parents=True)
    with ExamplesWriter(directory) as writer:
        for row in rows:
            writer.write(row)
    for split in ("train", "validation", "test"):
        held = [row for row in rows if row.split == split]
        if held:
            write_token_rows(directory, split, [[_sequence(row, tokenizer, weight)] for row in held])
    write_manifest(directory, "examples")
    return directory


def _sequence(row: Example, tokenizer, weight: float) -> TokenSequence:
    question, answer = row.messages
    prompt = f"<|im_start|>user\n{question.content}<|im_end|>\n<|im_start|>assistant\n"
    parts = [
        (tokenizer.encode(prompt), 0.0),
        (tokenizer.encode(f"{answer.content}<|im_end|>"), weight),
        (tokenizer.encode("\n"), 0.0),
    ]
    ids = np.concatenate([np.array(part, dtype=np.uint32) for part, _ in parts])
    weights = np.concatenate([np.full(len(part), value, dtype=np.float32) for part, value in parts])
    return TokenSequence(row.id, ids, weights)


def comparison_recipe(**tuned: object) -> Recipe:
    """A fine-tuning recipe with small limits; `tuned` goes into `evaluate.tuned`."""
    settings = {"max_new_tokens": 8, "batch_size": 4, "bootstrap_samples": 200, **tuned}
    return Recipe.model_validate(
        {
            "evaluate": {"tuned": settings},
            "examples": {"sources": ["rows.jsonl"]},
            "finetune": {"base": str(toy_base())},
            "compute": {"device": "cpu", "threads": 1},
        }
    )


def comparison_context(
    directory: Path, adapter: Path, examples: Path, recipe: Recipe, *, base: Path | None = None, bus=None
) -> StageContext:
    return StageContext(
        recipe=recipe,
        bus=bus or EventBus(),
        inputs={"base": base or toy_base(), "adapter": adapter, "examples": examples},
        output=directory / "eval",
        run_directory=directory,
        stop=StopRequest(),
    )
