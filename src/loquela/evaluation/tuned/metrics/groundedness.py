"""How much of what an answer says stands in its passage? Numbers by value, names and words by their stems.

It sees wording, not meaning: an answer that ties the passage's words together wrongly passes.
"""

from __future__ import annotations

from loquela.core.text.facts import name_key, names, numbers, word_keys, word_parts
from loquela.core.text.language import function_words
from loquela.evaluation.tuned.metric_contract import AnswerContext
from loquela.evaluation.tuned.metrics.refusals import is_refusal

STEM = 5


def groundedness(answer: str, context: AnswerContext) -> float | None:
    """Share of the numbers, names and other content words of `answer` that its passage or question has.

    None for rows without a passage or whose passage holds no answer, for refusals, and for answers without content.
    """
    if context.passage is None or context.expects_refusal or is_refusal(answer, context.refusals):
        return None
    return supported_share(answer, f"{context.passage}\n{context.question}", context.language)


def supported_share(answer: str, source: str, language: str | None) -> float | None:
    """Share of the content of `answer` that `source` has; None where there is no content."""
    wanted = numbers(answer).each
    known_numbers = numbers(source).readings
    found = [not number.isdisjoint(known_numbers) for number in wanted]
    number_words = {word for word in word_parts(answer) if numbers(word).each}
    named = names(answer, language)
    keys = word_keys(source)
    found += [name_key(name) in keys for name in named]
    named_parts = {part for name in named for part in word_parts(name)}
    left = [word for word in word_parts(answer) if word not in named_parts and word not in number_words]
    stems = {word[:STEM] for word in word_parts(source)}
    found += [word[:STEM] in stems for word in left if _says_something(word, language)]
    return sum(found) / len(found) if found else None


def _says_something(word: str, language: str | None) -> bool:
    """Digits were compared by value; a single Latin letter is an article or a pronoun."""
    return not (word.isdigit() or word in function_words(language) or (len(word) == 1 and word.isascii()))
