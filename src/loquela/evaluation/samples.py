"""Texts the model writes from fixed prompts, and what can be counted about them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from loquela.evaluation.contracts import Sample, SamplesReport, TextQuality
from loquela.inference.contracts import GenerateRequest
from loquela.inference.engine import Engine
from loquela.recipe.schema import EvaluateSection

# The commonest words of each language that the other does not have.
ENGLISH = frozenset(
    "the and of to that was it his he with had for as is at her they not but be on she were which him you from my "
    "have by this said all there so are or what would when one been who out up then their".split()
)
SPANISH = frozenset(
    "el la de que y en los se del las un por con una su para es al lo como más pero sus le ya fue este porque esta "
    "entre cuando muy sin sobre también hasta hay donde quien desde todo nos durante ni había era dijo ella".split()
)


def write_samples(engine: Engine, section: EvaluateSection, seed: int) -> Iterator[Sample]:
    """One sample per prompt, written when it is asked for; equal engine, settings and seed give equal texts."""
    for index, prompt in enumerate(section.prompts):
        request = GenerateRequest(
            prompt_text=prompt,
            max_new_tokens=section.sample_tokens,
            temperature=section.temperature,
            seed=(seed + index) % 2**31,
        )
        result = engine.generate(request)
        yield Sample(
            prompt=prompt,
            output=result.outputs[0],
            seed=request.seed,
            temperature=section.temperature,
            steps=result.steps[0],
            eos_terminated=result.eos_terminated[0],
            language=guess_language(result.outputs[0]),
            quality=text_quality([result.outputs[0]]),
        )


def summarize(samples: Sequence[Sample]) -> SamplesReport:
    """Counts over all samples; n-grams never reach from one sample into the next."""
    languages = Counter(str(sample.language) for sample in samples)
    return SamplesReport(
        count=len(samples),
        quality=text_quality([sample.output for sample in samples]),
        languages=dict(sorted(languages.items())),
        bilingual=languages["en"] > 0 and languages["es"] > 0,
    )


def words_of(text: str) -> list[str]:
    """Runs of letters, digits and marks, in lower case."""
    return re.findall(r"\w+", text.lower())


def guess_language(text: str) -> Literal["en", "es", "unknown"]:
    """The language whose commonest words occur more often in `text`.

    "unknown" when both occur equally often, or too seldom for a language: less than twice or in under a tenth of
    the words, where running text has them in a third.
    """
    words = words_of(text)
    english, spanish = sum(word in ENGLISH for word in words), sum(word in SPANISH for word in words)
    if english == spanish or max(english, spanish) < max(2, len(words) / 10):
        return "unknown"
    return "en" if english > spanish else "es"


def text_quality(texts: Sequence[str]) -> TextQuality:
    """Variety and repetition of `texts` together."""
    split = [words_of(text) for text in texts]
    return TextQuality(
        distinct_1=distinct(split, 1),
        distinct_2=distinct(split, 2),
        distinct_3=distinct(split, 3),
        repeated_4grams=1 - distinct(split, 4),
        longest_loop_words=max((longest_loop(words) for words in split), default=0),
    )


def distinct(texts: Sequence[Sequence[str]], length: int) -> float:
    """Different n-grams of `length` words / all of them (Li et al. 2016); 1 where there are none."""
    grams = [tuple(words[at : at + length]) for words in texts for at in range(len(words) - length + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def longest_loop(words: Sequence[str]) -> int:
    """Length of the longest stretch in which some block of words follows itself at least once, else 0."""
    longest = 0
    for period in range(1, len(words) // 2 + 1):
        run = 0
        for at in range(period, len(words)):
            run = run + 1 if words[at] == words[at - period] else 0
            if run >= period:
                longest = max(longest, run + period)
    return longest
