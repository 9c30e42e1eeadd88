"""The checks that cost nothing, in their order; the first that fails names the reason.

They see the wording, not the meaning. What they cannot catch: an answer that is wrong with words, numbers and names
that all stand beside its evidence (who did what to whom), a question that a true sentence does not answer, and
whatever is false without saying anything that the chunk does not say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loquela.core.text.facts import name_key, names, numbers, word_keys, word_parts
from loquela.core.text.language import function_words, is_foreign
from loquela.core.text.words import Words
from loquela.data.qa.gate.evidence import SHORTEST_WORDS, Found, find_evidence
from loquela.data.qa.gate.phrases import has_negation, speaks_of_the_text
from loquela.data.qa.pairs import Pair
from loquela.data.qa.sentences import around, sentences

QUESTION_WORDS = (3, 60)
ANSWER_WORDS = (1, 150)
# Of an answer of at most this many informative words, every one must stand beside the evidence …
SHORT_ANSWER_WORDS = 3
# … of a longer one, which may be put in other words, this share.
LEAST_SUPPORT = 0.5
STEM = 5
_ASKS = re.compile(
    r"[?？؟]\s*[\"”»)]*\s*$"
    r"|^\s*(?:name|list|explain|describe|define|compare|nombra|nombre|enumera|enumere|explica|explique|describe|describa"
    r"|define|defina|compara|compare|di|diga|indica|indique)\b",
    re.IGNORECASE,
)
_CHOICE = {"en": " or ", "es": " o "}


@dataclass(frozen=True)
class Checked:
    """`reason` is None for a pair that passed; `found` tells where its evidence stands."""

    reason: str | None
    found: Found | None = None


def check_pair(pair: Pair, chunk: str, language: str | None) -> Checked:
    """Every check of a pair that has the right form, in order; `language` is that wanted of the pair."""
    found = find_evidence(chunk, pair.evidence)
    if found is None:
        return Checked("evidence is not in the chunk")
    if len(Words(chunk[found.start : found.end]).words) < SHORTEST_WORDS:
        return Checked("evidence is too short", found)
    begin, end = around(sentences(chunk), found.start, found.end)
    reason = (
        _facts(pair, chunk, chunk[begin:end], language)
        or _denial(pair, chunk[found.start : found.end], language)
        or _language(pair, chunk, language)
        or _length(pair)
        or _phrases(pair)
        or _self_answered(pair, language)
    )
    return Checked(reason, found)


def _facts(pair: Pair, chunk: str, beside: str, language: str | None) -> str | None:
    """Numbers, names, words and negations of the answer against the chunk, then against what stands by the evidence."""
    answer = pair.answer
    asked = numbers(pair.question).readings
    known, near = numbers(chunk).readings, numbers(beside).readings | asked
    for number in numbers(answer).each:
        if number.isdisjoint(known):
            return "number of the answer is not in the chunk"
        if number.isdisjoint(near):
            return "number of the answer is not by its evidence"
    keys = word_keys(chunk)
    near_keys = word_keys(beside) | (word_keys(pair.question) & keys)
    named = [name_key(name) for name in names(answer, language)]
    if any(name not in keys for name in named):
        return "name of the answer is not in the chunk"
    if any(name not in near_keys for name in named):
        return "name of the answer is not by its evidence"
    if not _supported(answer, f"{beside} {pair.question}", language):
        return "answer says what its evidence does not"
    return None


def _denial(pair: Pair, evidence: str, language: str | None) -> str | None:
    if has_negation(pair.answer, language) and not has_negation(f"{evidence} {pair.question}", language):
        return "answer denies what its evidence does not deny"
    return None


def _supported(answer: str, source: str, language: str | None) -> bool:
    common = function_words(language)
    # Numbers are compared by value before, and may be spelled in other ways.
    wanted = [word for word in word_parts(answer) if word not in common and not word.isdigit()]
    if not wanted:
        return True
    known = {word[:STEM] for word in word_parts(source)}
    present = sum(word[:STEM] in known for word in wanted)
    if len(wanted) <= SHORT_ANSWER_WORDS:
        return present == len(wanted)
    return present / len(wanted) >= LEAST_SUPPORT


def _language(pair: Pair, chunk: str, language: str | None) -> str | None:
    if is_foreign(pair.question, language, chunk):
        return "question is in another language"
    # A title in another language that stands in the chunk is an answer like any other.
    if pair.answer not in chunk and is_foreign(pair.answer, language, chunk):
        return "answer is in another language"
    return None


def _length(pair: Pair) -> str | None:
    question, answer = len(Words(pair.question).words), len(Words(pair.answer).words)
    if not QUESTION_WORDS[0] <= question <= QUESTION_WORDS[1]:
        return "question is too short or too long"
    if not ANSWER_WORDS[0] <= answer <= ANSWER_WORDS[1]:
        return "answer is empty or too long"
    if pair.type != "cloze" and not _ASKS.search(pair.question):
        return "question does not ask"
    return None


def _phrases(pair: Pair) -> str | None:
    if speaks_of_the_text(pair.question) or speaks_of_the_text(pair.answer):
        return "speaks of the text instead of its matter"
    return None


def _self_answered(pair: Pair, language: str | None) -> str | None:
    """Whether the question holds its whole answer; not where it offers a choice."""
    question, answer = Words(pair.question).lower_words, Words(pair.answer).lower_words
    if _CHOICE.get(language or "", " or ") in pair.question.lower():
        return None
    common = function_words(language)
    told = [word for word in answer if word not in common] or answer
    joined = f" {' '.join(question)} "
    if f" {' '.join(answer)} " in joined or all(f" {word} " in joined for word in told):
        return "question gives its answer away"
    return None
