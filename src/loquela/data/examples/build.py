"""Everything from rows to an examples folder, in two passes: what there is, then what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.corpus import LEDGER_NAME, SPLITS, Split
from loquela.artifacts.examples import Example, ExamplesWriter, read_examples
from loquela.artifacts.examples_facts import REPORT_NAME, TEMPLATE_NAME, ExamplesFacts
from loquela.artifacts.examples_ledger import SplitCount
from loquela.artifacts.token_rows import TokenSequence, write_token_rows
from loquela.core.atomic import write_json
from loquela.core.errors import DataError, ErrorCode
from loquela.data.corpus.leakage import Leakage, LeakageMeter
from loquela.data.examples.augment.augmenter import DataAugmenter, question_of
from loquela.data.examples.augment.rewriter import Question, Rewriter
from loquela.data.examples.convert_files import Intake
from loquela.data.examples.facts import ExamplesReport, PackingFacts, packing_facts
from loquela.data.examples.faults import FaultReport, RowFault
from loquela.data.examples.fit import Fitter, place_of
from loquela.data.examples.ledger import ExamplesTally
from loquela.data.examples.lengths import length_report
from loquela.data.examples.of_base import BaseParts
from loquela.data.examples.packing import best_fit_decreasing
from loquela.data.examples.split import Head, draw_splits, head_of, question_key, question_text
from loquela.data.examples.spool import ExampleSpool
from loquela.data.examples.template_record import template_record
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.special_text import SpecialText
from loquela.data.examples.tokens import Encoder, ExampleEncoder, RowEncoder, TemplateEncoder
from loquela.recipe.examples_section import ExamplesSection

PACKED_KINDS = ("messages", "prompt_completion", "text")


@dataclass(frozen=True)
class Materials:
    """What an examples folder is made of: the recipe's section, a template, perhaps a tokenizer or a base model with
    its own, perhaps a folder of generated questions and answers, perhaps a model that rewords. `between_examples` is
    called often; it may raise to stop.
    """

    section: ExamplesSection
    template: Template
    tokenizer: Encoder | None = None
    tokenizer_digest: str | None = None
    base: BaseParts | None = None
    generated: Path | None = None
    rewriter: Rewriter | None = None
    between_examples: Callable[[], None] = lambda: None


def build_examples(materials: Materials, directory: Path) -> ExamplesFacts:
    """Fill `directory`; the facts for its manifest.

    Raises RecipeError (UNSUPPORTED_FORMAT, CONFIG_INVALID), DataError (CORRUPT_DATA for bad rows under on_bad_row:
    error, SEQUENCE_TOO_LONG, INSUFFICIENT_DATA, …); nothing is left in `directory` that could be taken for an artifact.
    """
    with ExampleSpool(directory) as spool:
        return _Build(materials, directory, spool).run()


class _Build:
    def __init__(self, materials: Materials, directory: Path, spool: ExampleSpool) -> None:
        self.materials = materials
        self.section = materials.section
        self.directory = directory
        self.spool = spool
        self.tally = ExamplesTally()
        self.faults = FaultReport()
        template = materials.template
        self.special = SpecialText(template.controls, self.section.on_special_text)
        self.fitter = Fitter(self.section, template, _encoder(materials), self.tally)
        self.augmenter = DataAugmenter(self.section.augment, self.section.seed, materials.rewriter)
        self.splits = {split: SplitCount() for split in SPLITS}
        self.kinds: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.sequences: dict[Split, list[TokenSequence]] = {split: [] for split in SPLITS}
        self.alone: dict[Split, list[TokenSequence]] = {split: [] for split in SPLITS}

    def run(self) -> ExamplesFacts:
        """Both passes."""
        intake = Intake(self.section, self.special, self.tally, self.faults)
        heads = [self._put(example, given) for example, given in self._incoming(intake)]
        if self.section.on_bad_row == "error":
            self.faults.stop()
        if not heads:
            raise self._nothing_left()
        drawn, split_facts = draw_splits(heads, lambda number: question_text(self.spool.get(number)), self.section)
        for _ in range(split_facts.moved_to_fill_a_split):
            self.tally.touch("split", "held out with its whole group, or a wanted split would be empty")
        leakage = self._leakage(drawn)
        if self.materials.rewriter is not None:
            self.materials.rewriter.ask(lambda: self._learnt_questions(drawn))
        with ExamplesWriter(self.directory) as writer:
            for example in self._variants(drawn, heads):
                self._finish(example, writer)
        if self.section.on_bad_row == "error":
            self.faults.stop()
        self.fitter.stop_if_overlong()
        if not self.splits["train"].examples:
            raise self._nothing_left()
        packing = {split: self._write_rows(split) for split in SPLITS if self.splits[split].sequences}
        ledger = self.tally.ledger({split: count for split, count in self.splits.items()})
        self.dropped.update(
            {change.reason: -change.items for arrow in ledger.arrows for change in arrow.changes if change.items < 0}
        )
        write_json(self.directory / LEDGER_NAME, ledger.model_dump(mode="json"))
        measured = self.fitter.encoder is not None
        report = ExamplesReport(
            files=intake.files,
            faults=self.faults.counts,
            special_text=dict(self.special.found),
            split=split_facts,
            leakage=leakage,
            augment=self.augmenter.report if self.section.augment.wanted else None,
            lengths=length_report(self.fitter.lengths, self.section.max_tokens) if measured else None,
            packing={split: facts for split, facts in packing.items() if facts is not None},
        )
        write_json(self.directory / REPORT_NAME, report.model_dump(mode="json"))
        record = template_record(self.section, self.materials.template, self.materials.base)
        write_json(self.directory / TEMPLATE_NAME, record.model_dump(mode="json"))
        return self._facts()

    def _incoming(self, intake: Intake) -> Iterator[tuple[Example, Split | None]]:
        """New examples of the files, then of the generated ones, which come with a split."""
        for example in intake.from_sources(self.materials.between_examples):
            yield example, None
        if self.materials.generated is not None:
            for example in read_examples(self.materials.generated):
                self.materials.between_examples()
                for admitted in intake.ready(example):
                    yield admitted, admitted.split

    def _put(self, example: Example, given: Split | None) -> Head:
        self.spool.put(example)
        return head_of(example, self.section.stratify_by, given)

    def _leakage(self, drawn: list[Split]) -> Leakage:
        """What held-out questions still share with those that are learnt from."""
        questions = [(question_text(example), split) for example, split in zip(self.spool, drawn, strict=True)]
        held_out = [text for text, split in questions if split != "train"]
        meter = LeakageMeter(sum(len(text) for text in held_out))
        for text in held_out:
            meter.hold_out(text)
        for text, split in questions:
            if split == "train":
                meter.learn(text)
        return meter.result(same_source=0)

    def _learnt_questions(self, drawn: list[Split]) -> Iterator[Question]:
        """The questions of the training split."""
        for example, split in zip(self.spool, drawn, strict=True):
            self.materials.between_examples()
            question = question_of(example) if split == "train" else None
            if question is not None:
                yield question

    def _variants(self, drawn: list[Split], heads: list[Head]) -> Iterator[Example]:
        """Every example with its split, each followed by its variants; none that gives a held-out question away."""
        held_out = {head.keys[0] for head, split in zip(heads, drawn, strict=True) if split != "train"}
        known: set[str] = set()
        for source, split in zip(self.spool, drawn, strict=True):
            self.materials.between_examples()
            self.tally.enter("augment")
            self.tally.leave("augment")
            known.add(source.id)
            yield source.model_copy(update={"split": split})
            if split != "train":
                continue
            for variant in self.augmenter.variants(source):
                self.tally.change("augment", "variants", 1)
                if variant.id in known or question_key(variant) in held_out:
                    self.tally.change("augment", "variants that ask what another example asks", -1)
                    continue
                known.add(variant.id)
                self.tally.leave("augment")
                yield variant

    def _finish(self, example: Example, writer: ExamplesWriter) -> None:
        """Template, tokens, limit; then the example is written and counted."""
        self.tally.enter("template")
        try:
            sequences = self.fitter.fit(example)
        except RowFault as fault:
            self.faults.add(place_of(example), fault)
            self.tally.change("template", fault.reason, -1, place=f"{place_of(example)}: {fault}")
            return
        if sequences is None:
            return
        writer.write(example)
        self.kinds[example.kind] += 1
        self.languages[example.language or "unsaid"] += 1
        count = self.splits[example.split]
        tokens = sum(len(sequence.ids) for sequence in sequences)
        learnt = sum(int((sequence.weights > 0).sum()) for sequence in sequences)
        count.examples += 1
        count.variants += example.variant_of is not None
        count.sequences += len(sequences)
        count.tokens += tokens
        count.learnt_tokens += learnt
        self.tally.enter("split", 1, tokens, learnt)
        self.tally.leave("split", 1, tokens, learnt)
        held = self.sequences if example.kind in PACKED_KINDS else self.alone
        held[example.split] += sequences

    def _write_rows(self, split: Split) -> PackingFacts | None:
        """The token rows of one split: packed where asked for, else a text each."""
        packed, alone = self.sequences[split], self.alone[split]
        limit = self.section.max_tokens
        rows = [[sequence] for sequence in packed]
        facts = None
        if self.section.pack and limit is not None:
            lengths = [len(sequence.ids) for sequence in packed]
            rows = [[packed[number] for number in row] for row in best_fit_decreasing(lengths, limit)]
            facts = packing_facts(limit, rows, len(packed))
            self.splits[split].padding_tokens = facts.padding_tokens
        rows += [[sequence] for sequence in alone]
        self.splits[split].rows = len(rows)
        write_token_rows(self.directory, split, rows)
        return facts

    def _facts(self) -> ExamplesFacts:
        return ExamplesFacts(
            examples=sum(count.examples for count in self.splits.values()),
            kinds=dict(self.kinds),
            languages=dict(self.languages),
            splits={split: count for split, count in self.splits.items()},
            template=self.materials.template.name,
            tokenizer_digest=self.materials.tokenizer_digest,
            max_tokens=self.section.max_tokens,
            base_digest=self.materials.base.identity.digest if self.materials.base else None,
            dropped=dict(self.dropped),
        )

    def _nothing_left(self) -> DataError:
        reasons = ", ".join(f"{count.rows} × {count.reason}" for count in self.faults.counts) or "no rows came in"
        return DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"no example is left to train on: {reasons}",
            "mend the rows of examples.sources, or give others",
        )


def _encoder(materials: Materials) -> RowEncoder | None:
    if materials.base is not None:
        return TemplateEncoder(materials.base.tokenizer)
    return ExampleEncoder(materials.tokenizer, materials.template.controls) if materials.tokenizer else None
