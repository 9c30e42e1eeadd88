"""Is an answer that should be JSON really JSON, and of the right shape?"""

from __future__ import annotations

import json
from typing import Final

from pydantic import JsonValue

from loquela.evaluation.tuned.metric_contract import AnswerContext


class _NotJson:
    """The one value that no JSON text has."""


NOT_JSON: Final = _NotJson()


def json_of(text: str) -> JsonValue | _NotJson:
    """The object or list that `text` is, white space around it aside; NOT_JSON for all else.

    Strict: no code fence, no words around it, no NaN. A bare number or word is no structured answer.
    """
    try:
        found: JsonValue = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return NOT_JSON
    return found if isinstance(found, dict | list) else NOT_JSON


def json_validity(answer: str, context: AnswerContext) -> float | None:
    """1 when the answer is a JSON object or list; None for rows whose expected answer is none."""
    if context.reference is None or json_of(context.reference) is NOT_JSON:
        return None
    return float(json_of(answer) is not NOT_JSON)


def json_schema(answer: str, context: AnswerContext) -> float | None:
    """1 when the answer is JSON that `evaluate.tuned.json_schema` describes; None without a schema, and as above."""
    if context.schema is None or context.reference is None or json_of(context.reference) is NOT_JSON:
        return None
    found = json_of(answer)
    return float(not isinstance(found, _NotJson) and context.schema.is_valid(found))


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
