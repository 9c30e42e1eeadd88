"""Finished examples as the model will see them, with what it learns marked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from loquela.artifacts.corpus import SPLITS
from loquela.artifacts.examples import Example, read_examples
from loquela.artifacts.examples_facts import REPORT_NAME, TEMPLATE_NAME, TemplateRecord, read_template_record
from loquela.artifacts.examples_ledger import read_examples_ledger
from loquela.artifacts.manifest import corrupt
from loquela.artifacts.token_rows import SequenceRecord, read_sequences
from loquela.core.model import BoundaryModel
from loquela.data.examples.augment.augmenter import AugmentReport
from loquela.data.examples.facts import ExamplesReport
from loquela.data.examples.fit import place_of
from loquela.data.examples.templates.alpaca import Alpaca
from loquela.data.examples.templates.chatml import ChatML
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.jinja import JinjaTemplate, ModelNames
from loquela.data.examples.templates.manager import close, custom_template
from loquela.data.examples.templates.render import render_example
from loquela.recipe.examples_section import Learn


class PreviewSpan(BoundaryModel):
    """Characters [start, end) of the text that are learnt with `weight`."""

    start: int
    end: int
    weight: float


class PreviewRow(BoundaryModel):
    """One text of an example. `tokens` and `learnt_tokens` are of all its pieces; null where no tokenizer counted."""

    example: str
    place: str
    kind: str
    split: str
    part: str
    text: str
    learnt: list[PreviewSpan]
    marked: str = Field(description="the text with « and » around what is learnt")
    tokens: int | None
    learnt_tokens: int | None
    pieces: int


def preview(directory: Path, rows: int, split: str | None = None) -> list[PreviewRow]:
    """The first `rows` examples of a split, or of all; DataError as of `read_examples`."""
    made_by = read_template_record(directory)
    template = _template(directory, made_by)
    learn = made_by.learn if made_by else "assistant"
    counted: dict[str, list[SequenceRecord]] = {}
    for name in SPLITS if split is None else (split,):
        for record in read_sequences(directory, name):
            counted.setdefault(record.example, []).append(record)
    try:
        return [
            row
            for example in islice(read_examples(directory, split), rows)
            for row in _rows(example, template, learn, counted.get(example.id, []))
        ]
    finally:
        close(template)


def _template(directory: Path, record: TemplateRecord | None) -> Template:
    """The template that the examples were made with; ChatML where none was, as for generated questions."""
    if record is None:
        return ChatML()
    origin = str(directory / TEMPLATE_NAME)
    if record.for_base:
        model = ModelNames(record.special_tokens, tuple(record.controls), record.date)
        return JinjaTemplate(record.source, origin, name=record.name, model=model)
    if record.name == "custom":
        return custom_template(record.source, record.syntax, origin)
    return Alpaca() if record.name == "alpaca" else ChatML()


def _rows(example: Example, template: Template, learn: Learn, counted: list[SequenceRecord]) -> Iterator[PreviewRow]:
    for one in render_example(example, template, learn):
        pieces = [record for record in counted if record.part == one.part]
        yield PreviewRow(
            example=example.id,
            place=str(place_of(example)),
            kind=example.kind,
            split=example.split,
            part=one.part,
            text=one.rendered.text,
            learnt=[PreviewSpan(start=span.start, end=span.end, weight=span.weight) for span in one.rendered.trained],
            marked=one.rendered.marked(),
            tokens=sum(record.tokens for record in pieces) if pieces else None,
            learnt_tokens=sum(record.learnt for record in pieces) if pieces else None,
            pieces=len(pieces),
        )


def preview_json(directory: Path, rows: int, split: str | None = None) -> list[dict[str, JsonValue]]:
    """`preview` as JSON, for those who do not import this package."""
    return [dict(row.model_dump(mode="json")) for row in preview(directory, rows, split)]


def told(directory: Path) -> list[str]:
    """What became of the rows, in lines: what was recognised, what each step changed, what the splits hold."""
    try:
        report = ExamplesReport.model_validate_json((directory / REPORT_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{REPORT_NAME} cannot be read") from error
    ledger = read_examples_ledger(directory)
    lines = [str(file.recognised) for file in report.files]
    for file in report.files:
        counts = (("keys of turns not used", file.ignored_turn_keys), ("placeholders left", file.placeholders_left))
        for what, found in counts:
            if found:
                listed = ", ".join(f"{number} × {name}" for name, number in found.items())
                lines.append(f"{file.recognised.source}: {what}: {listed}")
    for arrow in ledger.arrows:
        lines.append(f"{arrow.arrow:<12} {arrow.items_in:>8,} → {arrow.items_out:>8,}")
        for change in arrow.changes:
            if change.items:
                where = f" ({change.examples[0]})" if change.examples else ""
                lines.append(f"{'':<14}{change.items:>+8,}  {change.reason}{where}")
    for split, count in ledger.splits.items():
        tokens = f", {count.tokens:,} tokens, {count.learnt_tokens:,} learnt" if count.tokens else ""
        padding = f", {count.padding_tokens:,} padding" if count.padding_tokens else ""
        lines.append(f"{split:<12} {count.examples:>8,} ({count.variants:,} variants){tokens}{padding}")
    if report.split.moved_to_fill_a_split:
        lines.append(
            f"held out: {report.split.moved_to_fill_a_split:,} with their whole group, or a wanted split would be empty"
        )
    lines += _augmentation(report.augment)
    leakage = report.leakage
    lines.append(f"held out: {leakage.sharing_any} of {leakage.documents} questions share 13 words with a training one")
    return lines


def _augmentation(report: AugmentReport | None) -> list[str]:
    """What was reworded and what was thrown away, in lines."""
    if report is None:
        return []
    counts = {
        "reworded": {count.name: count.count for count in report.made},
        "thrown away": {count.name: count.count for count in report.rejected},
    }
    if report.rewriting is not None:
        counts["not asked for"] = report.rewriting.not_asked
        counts["without an answer"] = report.rewriting.without_answer
        counts["unusable"] = report.rewriting.unusable
    return [
        f"{what:<18} " + ", ".join(f"{number:,} × {name}" for name, number in found.items())
        for what, found in counts.items()
        if found
    ]
