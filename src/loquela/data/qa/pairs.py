"""A question with its answer and evidence, and the strict reading of the JSON that pairs and verdicts come in."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from loquela.recipe.qa_section import QuestionLevel, QuestionType

LONGEST_FAULT = 200


class _Strict(BaseModel):
    """Exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Pair(_Strict):
    """One pair as it came; `evidence` is what its writer says it copied from the chunk."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    evidence: str = Field(min_length=1)
    type: QuestionType
    difficulty: QuestionLevel


class Verdict(_Strict):
    """What the judge says of the pair with that number, counted from 1."""

    pair: int = Field(ge=1)
    supported: bool
    known_without: bool
    usefulness: int = Field(ge=1, le=5)


class Verdicts(_Strict):
    """A judge's whole answer."""

    verdicts: list[Verdict]


class Malformed(Exception):
    """An answer that is not the JSON that was asked for; its text says why, for the repair request."""


class _Envelope(_Strict):
    pairs: list[JsonValue]


Read = TypeVar("Read", bound=BaseModel)


def read_pairs(text: str) -> tuple[list[Pair], int]:
    """The pairs of an answer, and how many of its entries were none; Malformed when every entry is none.

    An answer without entries is a whole one: there was nothing to ask.
    """
    entries = read_as(text, _Envelope).pairs
    pairs: list[Pair] = []
    faults: list[str] = []
    for entry in entries:
        try:
            pairs.append(Pair.model_validate_json(json.dumps(entry)))
        except ValidationError as error:
            faults.append(_fault(error))
    if faults and not pairs:
        raise Malformed(faults[0])
    return pairs, len(faults)


def read_verdicts(text: str, count: int) -> list[Verdict]:
    """One verdict for each of `count` pairs, in order; Malformed when one is missing or there twice."""
    found = read_as(text, Verdicts).verdicts
    if sorted(verdict.pair for verdict in found) != list(range(1, count + 1)):
        raise Malformed(f"there must be one verdict for each pair from 1 to {count}")
    return sorted(found, key=lambda verdict: verdict.pair)


def read_as(text: str, model: type[Read]) -> Read:
    """The JSON object of an answer; Malformed, with the first fault, when it is none of that form."""
    try:
        return model.model_validate_json(_unfenced(text))
    except ValidationError as error:
        raise Malformed(_fault(error)) from None


def _unfenced(text: str) -> str:
    """Without the Markdown fence that models like to put around JSON; nothing else is forgiven."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") : -3]
    return stripped


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"[:LONGEST_FAULT] if where else first["msg"][:LONGEST_FAULT]
