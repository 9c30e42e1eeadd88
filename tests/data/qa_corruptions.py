"""Gold pairs of XQuAD as pairs with evidence, and copies of them that are wrong in a known way."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loquela.core.text.facts import names, numbers
from loquela.data.qa.pairs import Pair
from loquela.data.qa.sentences import sentences


@dataclass(frozen=True)
class Gold:
    chunk: str
    pair: Pair
    language: str


def gold_pairs(path: Path, language: str) -> list[Gold]:
    """Every question of a SQuAD file; the sentence that holds its answer is the evidence."""
    found = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            chunk = paragraph["context"]
            parts = sentences(chunk)
            for asked in paragraph["qas"]:
                answer = asked["answers"][0]
                start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
                touched = [part for part in parts if part.start < end and start < part.end]
                evidence = chunk[touched[0].start : touched[-1].end]
                found.append(
                    Gold(
                        chunk,
                        Pair(
                            question=asked["question"].strip(),
                            answer=answer["text"],
                            evidence=evidence,
                            type="fact",
                            difficulty="basic",
                        ),
                        language,
                    )
                )
    return found


def changed(gold: Gold, **values: str) -> Gold:
    return Gold(gold.chunk, gold.pair.model_copy(update=values), gold.language)


class Corruptor:
    """Makes wrong pairs from right ones, seeded; None where a kind cannot be made from a pair."""

    def __init__(self, golds: list[Gold], translations: list[Gold], seed: int = 7) -> None:
        self.golds = golds
        self.translations = translations
        self.random = random.Random(seed)
        self.names = sorted({" ".join(found) for gold in golds if (found := names(gold.pair.answer, gold.language))})

    def kinds(self) -> dict[str, Callable[[int], Gold | None]]:
        return {
            "answer of another paragraph": self.other_answer,
            "answer of the same paragraph": self.neighbour_answer,
            "number changed": self.number_changed,
            "name changed": self.name_changed,
            "negated": self.negated,
            "evidence invented": self.evidence_invented,
            "evidence of another paragraph": self.other_evidence,
            "evidence of the same paragraph": self.neighbour_evidence,
            "number of evidence changed": self.evidence_number_changed,
            "wrong language": self.wrong_language,
            "speaks of the text": self.meta_phrase,
            "gives its answer away": self.self_answering,
            "no question": self.no_question,
        }

    def all_of(self, kind: str) -> Iterator[Gold]:
        make = self.kinds()[kind]
        for number in range(len(self.golds)):
            wrong = make(number)
            if wrong is not None and wrong != self.golds[number]:
                yield wrong

    def other_answer(self, number: int) -> Gold | None:
        gold = self.golds[number]
        other = self.random.choice(self.golds)
        if other.chunk == gold.chunk or other.pair.answer.lower() in gold.chunk.lower():
            return None
        return changed(gold, answer=other.pair.answer)

    def neighbour_answer(self, number: int) -> Gold | None:
        gold = self.golds[number]
        others = [other for other in self.golds if other.chunk == gold.chunk and other.pair.answer != gold.pair.answer]
        if not others:
            return None
        return changed(gold, answer=self.random.choice(others).pair.answer)

    def number_changed(self, number: int) -> Gold | None:
        gold = self.golds[number]
        digits = re.search(r"\d+", gold.pair.answer)
        if digits is None:
            return None
        other = str(int(digits.group()) + self.random.choice([-2, -1, 1, 2, 7]))
        if other in gold.chunk:
            return None
        return changed(gold, answer=gold.pair.answer.replace(digits.group(), other, 1))

    def name_changed(self, number: int) -> Gold | None:
        gold = self.golds[number]
        own = names(gold.pair.answer, gold.language)
        if not own:
            return None
        other = self.random.choice(self.names)
        if other.lower() in gold.chunk.lower():
            return None
        return changed(gold, answer=gold.pair.answer.replace(own[0], other, 1))

    def negated(self, number: int) -> Gold:
        gold = self.golds[number]
        word = {"en": "not", "es": "no"}[gold.language]
        return changed(gold, answer=f"{word} {gold.pair.answer}")

    def evidence_invented(self, number: int) -> Gold:
        gold = self.golds[number]
        words = gold.pair.evidence.split()
        self.random.shuffle(words)
        return changed(gold, evidence=" ".join(words[: max(6, len(words) // 2)]) + ".")

    def other_evidence(self, number: int) -> Gold | None:
        gold = self.golds[number]
        other = self.random.choice(self.golds)
        return None if other.chunk == gold.chunk else changed(gold, evidence=other.pair.evidence)

    def neighbour_evidence(self, number: int) -> Gold | None:
        """A quote that is really in the chunk, but far from the answer and without it."""
        gold = self.golds[number]
        parts = sentences(gold.chunk)
        at = next(place for place, part in enumerate(parts) if gold.pair.evidence.startswith(part.text))
        far = [part for place, part in enumerate(parts) if abs(place - at) > 1 and gold.pair.answer not in part.text]
        return changed(gold, evidence=self.random.choice(far).text) if far else None

    def evidence_number_changed(self, number: int) -> Gold | None:
        gold = self.golds[number]
        found = re.search(r"\d+", gold.pair.evidence)
        if found is None:
            return None
        other = str(int(found.group()) + 3)
        evidence = gold.pair.evidence[: found.start()] + other + gold.pair.evidence[found.end() :]
        return None if other in numbers(gold.chunk).readings else changed(gold, evidence=evidence)

    def wrong_language(self, number: int) -> Gold:
        """The same question and answer in the other language (the two files are parallel)."""
        other = self.translations[number].pair
        return changed(self.golds[number], question=other.question, answer=other.answer)

    def meta_phrase(self, number: int) -> Gold:
        gold = self.golds[number]
        phrases = {
            "en": ["According to the text, ", "Based on the passage, ", "As mentioned in the paragraph, "],
            "es": ["Según el texto, ", "De acuerdo con el pasaje, ", "En el fragmento, "],
        }
        question = gold.pair.question
        return changed(gold, question=self.random.choice(phrases[gold.language]) + question[:1].lower() + question[1:])

    def self_answering(self, number: int) -> Gold:
        gold = self.golds[number]
        return changed(gold, question=f"{gold.pair.question.rstrip('? ')}: {gold.pair.answer}?")

    def no_question(self, number: int) -> Gold:
        gold = self.golds[number]
        return changed(gold, question=gold.pair.question.strip("¿? ") + ".")
