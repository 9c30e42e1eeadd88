"""Questions and answers by rules, without a model, a network or a cost; the same chunk always gives the same.

What it makes is told apart from a model's work by its generator, "offline". Its pairs are right by construction, as
each is a sentence of the chunk turned round or with a gap in it, but they ask less than a model would. Answers are
whole sentences: a bare number or name would teach a model to guess one.
"""

from __future__ import annotations

import json

from loquela.data.qa.plan import Cell
from loquela.data.qa.providers.contract import Completion, Material, Request, Usage
from loquela.data.qa.providers.models import OFFLINE_MODEL
from loquela.data.qa.providers.offline_rules import Draft, drafts

# The number grows when the same chunk would be asked something else: answers are kept by it.
ENDPOINT = "rules-2"


class OfflineProvider:
    """Speaks like a model, and is none; English and Spanish."""

    name = OFFLINE_MODEL
    endpoint = ENDPOINT

    def complete(self, request: Request) -> Completion:
        """The pairs that the rules find in the chunk of `request`, at most as many as were asked for."""
        made = [] if request.material is None else pairs_by_rule(request.material)
        return Completion(json.dumps({"pairs": made}, ensure_ascii=False), "end", Usage())

    def close(self) -> None:
        """Nothing is open."""


def pairs_by_rule(material: Material) -> list[dict[str, str]]:
    """For each cell the next draft of its type, else of any; spread over the chunk and never twice from a sentence."""
    found = drafts(material.text, material.language)
    used: set[int] = set()
    chosen: list[dict[str, str]] = []
    for number, cell in enumerate(material.cells):
        draft = _next(found, cell, used, number / len(material.cells) * len(material.text))
        if draft is None:
            break
        used.add(draft.start)
        chosen.append(
            {
                "question": draft.question,
                "answer": draft.answer,
                "evidence": draft.evidence,
                "type": draft.type,
                "difficulty": cell[1],
            }
        )
    return chosen


def _next(found: list[Draft], cell: Cell, used: set[int], near: float) -> Draft | None:
    """The unused draft of the cell's type that stands nearest behind `near`; one of another type if there is none."""
    free = [draft for draft in found if draft.start not in used]
    fitting = [draft for draft in free if draft.type == cell[0]] or free
    return min(fitting, key=lambda draft: (draft.start < near, abs(draft.start - near)), default=None)
