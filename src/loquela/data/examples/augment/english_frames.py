"""Other ways to ask for the same in English: requests around an imperative, announcements before a question."""

from __future__ import annotations

from collections.abc import Iterator

from loquela.data.examples.augment.sentences import is_one_sentence, lowered, without_end
from loquela.data.examples.augment.variation import Variation

IMPERATIVES = frozenset(
    "add analyze analyse answer arrange assign build calculate categorize change choose classify combine compare "
    "complete compose compute consider construct convert correct count create define delete derive describe design "
    "detect determine develop differentiate discuss distinguish divide draft draw edit elaborate estimate evaluate "
    "examine expand explain explore express extract fill find fix form formulate gather generate give group identify "
    "illustrate imagine improve infer insert invent judge list make match mention modify name offer order organize "
    "outline paraphrase pick plan point predict prepare present propose prove provide rank rate read rearrange "
    "recommend reduce remove rename reorder rephrase replace respond restate rewrite reword say select show "
    "simplify sketch solve sort specify split state structure suggest sum summarize summarise supply take tell "
    "think transform translate turn use verify write".split()
)
# Behind these a word of the list is a noun: "List of kings", "Name is required".
_AFTER_NOUN = frozenset("of is are was were has have can will".split())
_QUESTION_WORDS = frozenset(
    "what who whom whose which when where why how is are am was were do does did can could will would should shall may "
    "might has have had".split()
)
_IMPERATIVE_FRAMES = (
    ("please", "Please {}.", True),
    ("could_you", "Could you {}?", False),
    ("can_you", "Can you {}?", False),
    ("would_like", "I would like you to {}.", False),
    ("task", "Your task is to {}.", False),
    ("need", "I need you to {}.", False),
)
_QUESTION_FRAMES = (
    ("answer_this", "Please answer this question: {}"),
    ("have_question", "I have a question: {}"),
    ("here_is", "Here is my question: {}"),
    ("wondering", "Something I have been wondering: {}"),
)


def english_variations(text: str) -> Iterator[Variation]:
    """Every frame whose grammar the sentence fits."""
    asked = text.strip()
    words = asked.split()
    if not words:
        return
    if words[0].lower() in IMPERATIVES and (len(words) == 1 or words[1].lower() not in _AFTER_NOUN):
        yield from _imperative(asked)
    elif words[0].lower() in _QUESTION_WORDS and asked.endswith("?") and is_one_sentence(asked):
        for name, frame in _QUESTION_FRAMES:
            yield Variation(frame.format(asked), f"frame:{name}")


def _imperative(asked: str) -> Iterator[Variation]:
    single = is_one_sentence(asked) and not asked.endswith((":", "?"))
    for name, frame, anywhere in _IMPERATIVE_FRAMES:
        if single:
            yield Variation(frame.format(lowered(without_end(asked))), f"frame:{name}")
        elif anywhere:
            # The rest of the text goes on behind the request as it stood.
            yield Variation(frame.removesuffix(".").format(lowered(asked)), f"frame:{name}")
