"""Variants of training questions: by rule or by a model, guarded, capped, counted; answers are never touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from pydantic import Field

from loquela.artifacts.examples import Example, with_id
from loquela.core.model import BoundaryModel
from loquela.data.examples.augment.guard import rejected
from loquela.data.examples.augment.language import language_of
from loquela.data.examples.augment.paraphrase import paraphrases
from loquela.data.examples.augment.rewriter import Question, Rewriter, RewritingReport, head_of
from loquela.data.examples.augment.surface import normalize, surface_variations
from loquela.data.examples.augment.variation import Variation
from loquela.data.examples.augment.variations import instruction_variations
from loquela.data.examples.question import instruction_of, with_instruction
from loquela.data.stable_choice import shuffled
from loquela.recipe.examples_section import AugmentSection

SHOWN = 5


class RuleCount(BoundaryModel):
    """How often one rule made a variant, or one reason threw one away, with the first few as (source, variant)."""

    name: str
    count: int = 0
    examples: list[tuple[str, str]] = Field(default_factory=list)


class AugmentReport(BoundaryModel):
    """What augmentation did: `sources` examples had a question to reword, `without` had none or no variant."""

    sources: int = 0
    without: int = 0
    variants: int = 0
    made: list[RuleCount] = Field(default_factory=list)
    rejected: list[RuleCount] = Field(default_factory=list)
    rewriting: RewritingReport | None = None


class DataAugmenter:
    """Rewords questions by the recipe's `augment` section; the same seed gives the same variants."""

    def __init__(self, section: AugmentSection, seed: int, rewriter: Rewriter | None = None) -> None:
        self.section = section
        self.seed = seed
        self._rewriter = rewriter
        self._sources = self._without = self._variants = 0
        self._made: dict[str, RuleCount] = {}
        self._rejected: dict[str, RuleCount] = {}

    @property
    def report(self) -> AugmentReport:
        """The counts so far, the most frequent first."""
        return AugmentReport(
            sources=self._sources,
            without=self._without,
            variants=self._variants,
            made=_ranked(self._made),
            rejected=_ranked(self._rejected),
            rewriting=None if self._rewriter is None else self._rewriter.report,
        )

    def augment_instruction(self, instruction: str, language: str) -> list[Variation]:
        """The question in other frames, in an order that the seed draws."""
        return shuffled(instruction_variations(instruction, language), f"{self.seed}\0frame\0{instruction}")

    def paraphrase(self, instruction: str, language: str) -> list[Variation]:
        """The question in other words, by dictionary and grammar."""
        seed = f"{self.seed}\0paraphrase\0{instruction}"
        return list(paraphrases(instruction, language, max(1, self.section.paraphrases), seed))

    def normalize(self, text: str) -> str:
        """White space and Unicode form put in order; code stays as it is."""
        return normalize(text)

    def augment_dataset(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Every example, each followed by its variants; examples outside the train split come alone."""
        for example in examples:
            yield example
            if example.split == "train":
                yield from self.variants(example)

    def variants(self, example: Example) -> Iterator[Example]:
        """The variants of one example: same answer, same split and group, the rule in the lineage."""
        question = question_of(example)
        if question is None:
            return
        self._sources += 1
        taken: list[str] = []
        for variation in self._guarded(question, taken):
            self._variants += 1
            yield _variant(example, variation)
        self._without += not taken

    def _guarded(self, question: Question, taken: list[str]) -> Iterator[Variation]:
        """The variations that pass the guard, as many of each sort as wanted, `max_variants` in all.

        What was paid for comes first, so that the cap never leaves it out.
        """
        instruction, known = question.instruction, question.language or ""
        sorts = (
            (self.section.instruction_variations, self.augment_instruction),
            (self.section.paraphrases, self.paraphrase),
            (self.section.surface_variations, self._surface),
        )
        passing = [(self.section.max_variants, self._by_model(question, taken))]
        for wanted, make in sorts:
            made = make(instruction, known) if wanted else []
            passing.append((wanted, self._passing(instruction, known, made, taken)))
        for wanted, passed in passing:
            for variation in islice(passed, min(wanted, self.section.max_variants - len(taken))):
                taken.append(variation.text)
                _count(self._made, variation.rule.partition("+")[0], instruction, variation.text)
                yield variation

    def _by_model(self, question: Question, taken: list[str]) -> Iterator[Variation]:
        """The model's rewordings that pass, with what the question works on put behind them unchanged."""
        if self._rewriter is None:
            return
        head = head_of(question.instruction)
        material = question.instruction[len(head) :]
        others = [text.removesuffix(material) for text in taken]
        offered = self._rewriter.rewordings(question)
        for variation in self._passing(head, question.language or "", offered, others):
            others.append(variation.text)
            yield replace(variation, text=variation.text + material)

    def _surface(self, instruction: str, language: str) -> list[Variation]:
        return shuffled(surface_variations(instruction), f"{self.seed}\0surface\0{instruction}")

    def _passing(
        self, instruction: str, language: str, variations: Iterable[Variation], taken: list[str]
    ) -> Iterator[Variation]:
        for variation in variations:
            reason = rejected(instruction, variation, language, taken)
            if reason is None:
                yield variation
            else:
                _count(self._rejected, reason, instruction, variation.text)


def question_of(example: Example) -> Question | None:
    """What of an example may be reworded; None for plain text."""
    instruction = instruction_of(example)
    if instruction is None:
        return None
    return Question(example.id, instruction, example.language or language_of(instruction))


def _variant(example: Example, variation: Variation) -> Example:
    sort = variation.rule.partition(":")[0]
    details = {**example.lineage.details, "rule": variation.rule}
    if variation.request is not None:
        details["rewording_request"] = variation.request
    lineage = example.lineage.model_copy(update={"generator": f"augment:{sort}", "details": details})
    reworded = with_instruction(example, variation.text)
    return with_id(reworded.model_copy(update={"lineage": lineage, "variant_of": example.id}))


def _count(counts: dict[str, RuleCount], name: str, source: str, variant: str) -> None:
    count = counts.setdefault(name, RuleCount(name=name))
    count.count += 1
    if len(count.examples) < SHOWN:
        count.examples.append((source, variant))


def _ranked(counts: dict[str, RuleCount]) -> list[RuleCount]:
    return sorted(counts.values(), key=lambda count: (-count.count, count.name))
