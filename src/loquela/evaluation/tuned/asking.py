"""What an example asks, what it expects, and what the answer rests on: the part that metrics see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loquela.artifacts.examples import Example, Message, read_examples
from loquela.evaluation.tuned.metric_contract import AnswerContext, SchemaCheck
from loquela.evaluation.tuned.metrics.refusals import is_refusal
from loquela.evaluation.tuned.metrics.text import folded


def answer_context(
    example: Example, reference: str | None, refusals: frozenset[str], schema: SchemaCheck | None = None
) -> AnswerContext:
    """What metrics see of a row before anything was generated; `reference` is what its trained tokens spell."""
    marked = example.labels.get("answerable")
    if marked is None:
        expects_refusal = reference is not None and is_refusal(reference, refusals)
    else:
        expects_refusal = marked == "no"
    return AnswerContext(
        example=example,
        question=question_of(example),
        passage=passage_of(example),
        reference=reference,
        expects_refusal=expects_refusal,
        refusals=refusals,
        schema=schema,
    )


def with_answer(
    context: AnswerContext, *, tokens: int, stopped: bool, first_token_seconds: float, seconds_per_token: float | None
) -> AnswerContext:
    """The context of one answer."""
    return replace(
        context,
        tokens=tokens,
        stopped=stopped,
        first_token_seconds=first_token_seconds,
        seconds_per_token=seconds_per_token,
    )


def answer_of(example: Example) -> str | None:
    """The last answer that is learnt, as the example has it; None for plain text."""
    if example.kind == "prompt_completion":
        return example.completion
    if example.kind == "preference":
        return example.chosen[-1].content
    found = _answer_place(example.messages)
    return None if found is None else example.messages[found].content


def question_of(example: Example) -> str:
    """What was asked last before the answer: the instruction, or all of it; "" for plain text."""
    if example.kind == "prompt_completion":
        return example.prompt or ""
    asked = _asked(example)
    if asked is None:
        return ""
    return asked.instruction or asked.content


def passage_of(example: Example) -> str | None:
    """The text that the answer rests on; None where the row names none.

    The input of the question; of rows from the qa stage the question with its passage, or the evidence of one that is
    asked without it.
    """
    asked = _asked(example)
    if asked is not None and asked.input:
        return asked.input
    if asked is not None and example.labels.get("form") == "open_book":
        return asked.content
    evidence = example.lineage.details.get("evidence")
    return evidence if isinstance(evidence, str) and evidence else None


def taught_refusals(directory: Path) -> frozenset[str]:
    """The folded answers of all examples, of whatever split, that are marked as unanswerable."""
    answers = (answer_of(each) for each in read_examples(directory) if each.labels.get("answerable") == "no")
    return frozenset(folded(answer) for answer in answers if answer)


def _answer_place(messages: Sequence[Message]) -> int | None:
    return next((place for place in reversed(range(len(messages))) if messages[place].learnt), None)


def _asked(example: Example) -> Message | None:
    """The last turn of the user before the answer."""
    end = len(example.messages) if example.kind == "preference" else _answer_place(example.messages)
    turns = example.messages[: len(example.messages) if end is None else end]
    return next((turn for turn in reversed(turns) if turn.role == "user"), None)


def calls_tools(example: Example) -> bool:
    """Whether the answer is a call, which only the template can spell."""
    place = _answer_place(example.messages)
    turn = example.chosen[-1] if example.kind == "preference" else None if place is None else example.messages[place]
    return turn is not None and bool(turn.tool_calls)
