"""Rows of an examples folder for a base, made by the stage that makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.corpus import SPLITS
from loquela.artifacts.examples import Example, ExampleLineage, ExamplesWriter, Message
from loquela.artifacts.examples_facts import ExamplesFacts, TemplateRecord
from loquela.artifacts.examples_ledger import SplitCount
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import TokenSequence
from loquela.core.atomic import write_json
from loquela.data.examples.ledger import STEPS, ExamplesTally
from loquela.data.examples.lengths import length_report
from loquela.data.examples.stage import build
from loquela.models.pretrained.identify import identify
from loquela.monitoring.events import SilentBus
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe
from loquela.tokenizers.template_text import open_template_tokenizer

Row = dict[str, object]


def conversation(*turns: str, system: str | None = None) -> Row:
    """Turns of the user and the assistant by turns."""
    spoken = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(turns)]
    return {"messages": ([{"role": "system", "content": system}] if system else []) + spoken}


def make_rows(folder: Path, base: Path, rows: list[Row], task: str = "sft", **keys: object) -> ExamplesFacts:
    """Fill `folder` and seal it; the recipe's section `examples` has `keys`."""
    folder.mkdir(exist_ok=True)
    source = folder.parent / f"{folder.name}.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = {"sources": [str(source)], "validation_fraction": 0, **keys}
    recipe = Recipe(
        examples=ExamplesSection.model_validate(section),
        finetune=FinetuneSection.model_validate({"base": "b", "task": task}),
        output_directory=folder.parent,
    )
    context = StageContext(
        recipe=recipe,
        output=folder,
        run_directory=folder.parent,
        inputs={"base": base},
        bus=SilentBus(),
        stop=StopRequest(),
    )
    found = build(context).facts
    write_manifest(folder, "examples", facts=found)
    return ExamplesFacts.model_validate(found)


def write_what_rows_show(
    folder: Path, base: Path, pairs: Sequence[tuple[str, str]], rows: Mapping[str, Sequence[Sequence[TokenSequence]]]
) -> None:
    """Beside token rows of examples e0, e1, …: the examples, the base's template, the counts, the manifest."""
    identity = identify(base, source=str(base))
    tokenizer = open_template_tokenizer(base)
    splits = {split: _count(rows.get(split, [])) for split in SPLITS}
    where = {sequence.example: split for split in rows for row in rows[split] for sequence in row}
    with ExamplesWriter(folder) as writer:
        for number, (question, answer) in enumerate(pairs):
            turns = [Message(role="user", content=question), Message(role="assistant", content=answer)]
            lineage = ExampleLineage(source="pairs", row=number + 1)
            split = where[f"e{number}"]
            writer.write(
                Example.model_validate(
                    {"id": f"e{number}", "kind": "messages", "messages": turns, "lineage": lineage, "split": split}
                )
            )
    template = TemplateRecord(
        name="base",
        syntax="jinja",
        source=(base / "chat_template.jinja").read_text(),
        system_prompt=None,
        controls=list(tokenizer.controls),
        for_base=True,
        special_tokens=tokenizer.names,
    )
    facts = ExamplesFacts(
        examples=len(pairs),
        kinds={"messages": len(pairs)},
        languages={},
        splits=splits,
        template="base",
        tokenizer_digest=identity.files["tokenizer.json"].sha256,
        max_tokens=identity.context,
        base_digest=identity.digest,
        dropped={},
    )
    tally = ExamplesTally()
    tokens, learnt = (sum(getattr(one, name) for one in splits.values()) for name in ("tokens", "learnt_tokens"))
    for step in STEPS:
        of_tokens = (tokens, learnt) if step in ("overlong", "split") else (0, 0)
        tally.enter(step, len(pairs), *of_tokens)
        tally.leave(step, len(pairs), *((tokens, learnt) if step == "template" else of_tokens))
    tally.change("template", "encoded", 0, tokens, learnt)
    lengths = length_report([len(one.ids) for split in rows.values() for row in split for one in row], identity.context)
    write_json(folder / "ledger.json", tally.ledger(splits).model_dump(mode="json"))
    write_json(folder / "report.json", {"lengths": lengths.model_dump(mode="json")})
    write_json(folder / "template.json", template.model_dump(mode="json"))
    write_manifest(folder, "examples", facts=facts.model_dump(mode="json"))


def _count(rows: Sequence[Sequence[TokenSequence]]) -> SplitCount:
    held = [sequence for row in rows for sequence in row]
    return SplitCount(
        examples=len(held),
        sequences=len(held),
        rows=len(rows),
        tokens=sum(len(one.ids) for one in held),
        learnt_tokens=sum(int((one.weights > 0).sum()) for one in held),
    )
