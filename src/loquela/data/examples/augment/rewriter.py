"""Questions reworded by a language model: asked for all at once, within the cap; then read back from the store.

What follows a colon or a line end is what a question works on: the model is not shown it and cannot change it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.artifacts.context import StopRequest
from loquela.core.digests import digest_json
from loquela.core.model import BoundaryModel
from loquela.data.examples.augment.guard import long_words
from loquela.data.examples.augment.rewriting_estimate import estimate, refuse_beyond_cap
from loquela.data.examples.augment.rewriting_prompt import (
    LANGUAGES,
    PROMPT_VERSION,
    read_rewritings,
    rewriting_request,
)
from loquela.data.examples.augment.sentences import material_start
from loquela.data.examples.augment.variation import MODEL, Variation
from loquela.data.qa.answers import needed_repair, read_answer
from loquela.data.qa.asking import asking
from loquela.data.qa.outcomes import Calls
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.providers.models import ModelFacts, model_name
from loquela.data.qa.providers.open import endpoint_of, facts_of
from loquela.data.qa.sending import Patience
from loquela.data.qa.store import RequestStore, open_store
from loquela.monitoring.events import Bus
from loquela.recipe.examples_section import RewritingSection
from loquela.recipe.model_access import NOT_THE_TASK

# With fewer longer words, nothing would tell a rewording from another question.
LEAST_LONG_WORDS = 2


@dataclass(frozen=True)
class Question:
    """The question of one example; `example` is its id."""

    example: str
    instruction: str
    language: str | None


class RewritingReport(BoundaryModel):
    """What became of the questions that were to be reworded. Money is not part of it, as for generated pairs."""

    model: str
    prompt_version: str
    questions: int = 0
    offered: int = Field(0, description="rewordings that the model wrote, before the guard")
    not_asked: dict[str, int] = Field(default_factory=dict, description="questions, by reason")
    without_answer: dict[str, int] = Field(default_factory=dict, description="questions, by reason")
    unusable: dict[str, int] = Field(default_factory=dict, description="rewordings, by reason")


@dataclass
class Rewriter:
    """Asks within the section's cap and reads what the store holds; used from one thread."""

    section: RewritingSection
    facts: Mapping[str, ModelFacts]
    store: RequestStore
    calls: Calls
    controls: re.Pattern[str]
    stop: StopRequest = field(default_factory=StopRequest)
    patience: Patience = field(default_factory=Patience)
    _questions: int = field(default=0, init=False)
    _offered: int = field(default=0, init=False)
    _not_asked: Counter[str] = field(default_factory=Counter, init=False)
    _without: Counter[str] = field(default_factory=Counter, init=False)
    _unusable: Counter[str] = field(default_factory=Counter, init=False)

    def ask(self, questions: Callable[[], Iterable[Question]]) -> None:
        """Get rewordings of `questions`, which may be gone through several times; what was answered is not asked again.

        Raises ProofError(INSUFFICIENT_RESOURCES) when they are expected to cost more than the cap, or the next request
        may; ResourceError, RecipeError and Interrupted as the provider and the sender do. Answers until then are kept.
        """

        def requests() -> Iterator[Request]:
            return (request for _, request in self._asked(questions))

        def repairs() -> Iterator[Request]:
            found = (
                needed_repair(self.store, request, question.language, read_rewritings)
                for question, request in self._asked(questions)
            )
            return (repair for repair in found if repair is not None)

        expected = estimate(requests(), self.section, self.facts, self.store)
        self.calls.tell("planned", expected.model_dump(mode="json"))
        refuse_beyond_cap(expected)
        with asking(self.store, self.facts, self.calls, self.stop, self.patience) as send:
            send(requests)
            send(repairs)

    def rewordings(self, question: Question) -> list[Variation]:
        """What the model wrote for a question that was asked for, in its order; the rest is counted.

        They are rewordings of `head_of` the instruction.
        """
        self._questions += 1
        request = self._request(question)
        if isinstance(request, str):
            self._not_asked[request] += 1
            return []
        found, key, fault = read_answer(self.store, request, question.language, read_rewritings)
        if found is None:
            self._without[fault or "no answer"] += 1
            return []
        self._offered += len(found)
        self._count("more than were asked for", len(found) - self.section.variants)
        head = head_of(question.instruction)
        asked_for = found[: self.section.variants]
        kept = [text for text in asked_for if self._spelt(text) == self._spelt(head)]
        self._count("control tokens changed", len(asked_for) - len(kept))
        return [Variation(text, f"{MODEL}{request.model}", key) for text in kept]

    @property
    def report(self) -> RewritingReport:
        """The counts so far."""
        return RewritingReport(
            model=model_name(self.section),
            prompt_version=PROMPT_VERSION,
            questions=self._questions,
            offered=self._offered,
            not_asked=dict(sorted(self._not_asked.items())),
            without_answer=dict(sorted(self._without.items())),
            unusable=dict(sorted(self._unusable.items())),
        )

    def _asked(self, questions: Callable[[], Iterable[Question]]) -> Iterator[tuple[Question, Request]]:
        """Every different question with its request."""
        seen: set[str] = set()
        for question in questions():
            request = self._request(question)
            if isinstance(request, Request) and request.key not in seen:
                seen.add(request.key)
                yield question, request

    def _request(self, question: Question) -> Request | str:
        """The request for a question; the reason where none is made."""
        head, language = head_of(question.instruction), question.language
        if language not in LANGUAGES:
            return "no guard for its language"
        if len(long_words(head)) < LEAST_LONG_WORDS:
            return "too few words to tell a rewording from another question"
        return rewriting_request(
            head,
            language,
            self.section.variants,
            example=question.example,
            model=model_name(self.section),
            endpoint=endpoint_of(self.section),
        )

    def _spelt(self, text: str) -> Counter[str]:
        return Counter(self.controls.findall(text))

    def _count(self, reason: str, count: int) -> None:
        if count > 0:
            self._unusable[reason] += count


def head_of(instruction: str) -> str:
    """What of an instruction is reworded: all before the first colon or line end."""
    return instruction[: material_start(instruction)]


@contextmanager
def open_rewriter(
    section: RewritingSection,
    requests: Path,
    rows: JsonValue,
    controls: re.Pattern[str],
    bus: Bus,
    stop: StopRequest,
    patience: Patience,
) -> Iterator[Rewriter]:
    """A rewriter with the request store in `requests`, held until the end; raises as `open_store` and `facts_of`.

    `rows` names what is reworded: with the section it makes the task whose cost adds up over interrupted runs.
    """
    kept = section.model_dump(mode="json", exclude=NOT_THE_TASK)
    task = digest_json({"rewriting": kept, "rows": rows, "prompts": PROMPT_VERSION})
    facts = facts_of(section)
    with open_store(requests, task) as store:
        calls = Calls(bus, section, component="DataAugmenter", topic="augment")
        yield Rewriter(section, facts, store, calls, controls, stop, patience)
