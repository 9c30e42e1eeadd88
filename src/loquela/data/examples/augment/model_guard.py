"""What a model may do to a question that no rule of ours would: say more, answer it, change a number in words.

These come on top of `guard.rejected`, which every rewording meets.
"""

from __future__ import annotations

import re
from collections import Counter

from loquela.core.text.facts import names, numbers, word_keys
from loquela.core.text.language import is_foreign
from loquela.core.text.words import Words

# More than twice the words of its source, and some for a short one, is no rewording of it.
LONGEST_SHARE = 2.0
WORDS_BESIDE = 6
_END = re.compile(r"[.?!…]+(?=[\s\"'”»)]|$)|\n")


def changed_by_model(source: str, text: str, language: str) -> str | None:
    """The reason why `text`, written by a model, is no rewording of `source`; None for one that may be."""
    if _values(source) != _values(text):
        return "numbers changed"
    if _foreign_names(text, source, language) or _foreign_names(source, text, language):
        return "names changed"
    if is_foreign(text, language, source):
        return "in another language"
    if _sentences(text) > _sentences(source):
        return "says more than its source"
    if len(Words(text).words) > LONGEST_SHARE * len(Words(source).words) + WORDS_BESIDE:
        return "says more than its source"
    return None


def _values(text: str) -> Counter[frozenset[str]]:
    """The numbers of a text, in digits or in words, each as all it may be read as."""
    return Counter(numbers(text).each)


def _foreign_names(text: str, other: str, language: str) -> bool:
    """Whether `text` has a name that `other` has not."""
    there = word_keys(other)
    return any(not word_keys(name) <= there for name in names(text, language))


def _sentences(text: str) -> int:
    return sum(bool(Words(part).words) for part in _END.split(text))
