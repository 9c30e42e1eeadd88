"""Whether a rewording still asks the same: what must not change, what is no rewording, what has drifted away.

Copies: a paraphrase whose word n-grams have a Jaccard similarity above 0.8 with its source's says nothing new (n = 5;
half as many words for questions shorter than ten, so that one new word in a short one counts). Frames and surface
changes keep the words on purpose, so for them only equal texts are copies. Drift: fewer than half of the source's
words of four letters and more are left; a dictionary never goes so far, a model that rewords can, and is held to more
(`model_guard`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from loquela.core.text.words import Words
from loquela.data.examples.augment.model_guard import changed_by_model
from loquela.data.examples.augment.sentences import PROTECTED
from loquela.data.examples.augment.variation import MODEL, Variation

COPY_SIMILARITY = 0.8
DRIFT_SHARE = 0.5
GRAM_WORDS = 5
LONG_WORD_LETTERS = 4

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_NEGATION = {
    "en": re.compile(r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE),
    "es": re.compile(r"\b(?:no|nunca|jamás|nadie|nada|ningun[oa]?s?|ningún|sin|ni|tampoco)\b", re.IGNORECASE),
}
_NAME = re.compile(r"(?<=[\w,;)] )[A-ZÁÉÍÓÚÑÜ][\w'’-]*|\b\w*[A-Z]\w*[A-Z]\w*\b")


def rejected(source: str, variation: Variation, language: str, others: Sequence[str]) -> str | None:
    """The reason why `variation` is no rewording of `source`; None for one that is. `others` were taken already."""
    text = variation.text
    if not text.strip():
        return "empty"
    if _squeezed(text, variation) == _squeezed(source, variation):
        return "copy of its source"
    if text in others:
        return "copy of another variant"
    if _numbers(source) != _numbers(text):
        return "numbers changed"
    if _protected(source) - _protected(text):
        return "quotes, code or addresses changed"
    missing = _names(source) - {word.casefold() for word in Words(text).words}
    if missing:
        return "names changed"
    if _negations(source, language) != _negations(text, language):
        return "negation changed"
    if variation.rule.startswith(("dictionary:", MODEL)) and similarity(source, text) > COPY_SIMILARITY:
        return "copy of its source"
    if kept_share(source, text) < DRIFT_SHARE and not variation.rule.startswith("dictionary:"):
        return "drifted away"
    return changed_by_model(source, text, language) if variation.rule.startswith(MODEL) else None


def similarity(left: str, right: str) -> float:
    """Jaccard similarity of the word n-grams of two texts (see this file's head for n)."""
    one, two = Words(left).lower_words, Words(right).lower_words
    size = max(1, min(GRAM_WORDS, min(len(one), len(two)) // 2))
    grams, others = _grams(one, size), _grams(two, size)
    return len(grams & others) / max(1, len(grams | others))


def kept_share(source: str, text: str) -> float:
    """Share of the source's longer words that are in `text`; 1 where it has none."""
    wanted = long_words(source)
    kept = set(Words(text).lower_words)
    return sum(word in kept for word in wanted) / len(wanted) if wanted else 1.0


def long_words(text: str) -> list[str]:
    """The words that carry a question: those of four letters and more, in lower case."""
    return [word for word in Words(text).lower_words if len(word) >= LONG_WORD_LETTERS]


def _grams(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def _squeezed(text: str, variation: Variation) -> str:
    """What counts as the same text: everything for surface changes, words only for the rest."""
    return text if variation.rule.startswith("surface:") else " ".join(Words(text).lower_words)


def _numbers(text: str) -> Counter[str]:
    return Counter(_NUMBER.findall(text))


def _protected(text: str) -> set[str]:
    return {_folded(found) for found in PROTECTED.findall(text)}


def _folded(text: str) -> str:
    return text.casefold()


def _names(text: str) -> set[str]:
    """Words with a capital inside a sentence, and abbreviations."""
    return {word.casefold() for name in _NAME.findall(text) for word in _split(name) if word != "I"}


def _split(name: str) -> Iterable[str]:
    return Words(name).words


def _negations(text: str, language: str) -> int:
    pattern = _NEGATION.get(language)
    return len(pattern.findall(text)) if pattern else 0
