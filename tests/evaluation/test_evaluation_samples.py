"""What is counted about samples, on texts small enough to count by hand."""

import pytest

from loquela.evaluation.samples import (
    distinct,
    guess_language,
    longest_loop,
    summarize,
    text_quality,
    words_of,
    write_samples,
)
from loquela.inference.model_engine import ModelEngine
from loquela.recipe.schema import EvaluateSection
from toy_language import ByteTokenizer, uniform_model


def test_distinct_counts_ngrams_inside_each_text():
    texts = [["a", "b", "a", "b"], ["a", "b"]]
    assert distinct(texts, 1) == pytest.approx(2 / 6)
    assert distinct(texts, 2) == pytest.approx(2 / 4)  # ab ba ab | ab
    assert distinct(texts, 3) == 1.0
    assert distinct(texts, 5) == 1.0


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("", 0),
        ("one two three", 0),
        ("a a", 2),
        ("x a a a y", 3),
        ("the cat sat the cat sat the cat ran", 8),
        ("a b a", 0),
        ("a b c d a b c", 0),
        ("a b c d a b c d", 8),
    ],
)
def test_the_longest_loop(text, loop):
    assert longest_loop(text.split()) == loop


def test_quality_of_a_loop():
    quality = text_quality(["No no NO no, no no no no"])
    assert quality.distinct_1 == pytest.approx(1 / 8)
    assert quality.repeated_4grams == pytest.approx(1 - 1 / 5)
    assert quality.longest_loop_words == 8


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("It was the best of times, it was the worst of times", "en"),
        ("En un lugar de la Mancha, de cuyo nombre no quiero acordarme", "es"),
        ("había una vez", "es"),
        ("xyzzy 42", "unknown"),
        ("the", "unknown"),
        ("the la of el", "unknown"),
        ("the of " + "gnrbl " * 19, "unknown"),
        ("", "unknown"),
    ],
)
def test_language_guess(text, language):
    assert guess_language(text) == language


def test_words_keep_accents_and_drop_signs():
    assert words_of("¡Había—una vez… «Él»!") == ["había", "una", "vez", "él"]


def test_samples_are_the_same_every_time_and_summed_up():
    engine = ModelEngine(uniform_model(260), ByteTokenizer())
    section = EvaluateSection(prompts=["Once", "Había"], sample_tokens=9)
    samples = list(write_samples(engine, section, seed=5))
    assert samples == list(write_samples(engine, section, seed=5))
    assert samples != list(write_samples(engine, section, seed=6))
    assert [sample.prompt for sample in samples] == ["Once", "Había"]
    assert [sample.seed for sample in samples] == [5, 6]
    assert all(1 <= sample.steps <= 9 for sample in samples)
    summary = summarize(samples)
    assert summary.count == 2
    assert sum(summary.languages.values()) == 2


def test_bilingual_needs_both_languages():
    engine = ModelEngine(uniform_model(260), ByteTokenizer())
    sample = next(write_samples(engine, EvaluateSection(prompts=["x"], sample_tokens=1), seed=1))
    english, spanish = sample.model_copy(update={"language": "en"}), sample.model_copy(update={"language": "es"})
    assert summarize([english, spanish]).bilingual
    assert not summarize([english, english]).bilingual
