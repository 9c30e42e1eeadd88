"""What the rules and a model make."""

from __future__ import annotations

from dataclasses import dataclass

# What the rules of rewordings by a model begin with.
MODEL = "model:"


@dataclass(frozen=True)
class Variation:
    """One rewording and the rule that made it ("frame:please", "dictionary:large", "surface:lower_case", "model:…").

    `request` is the key under which the request store has a model's answer.
    """

    text: str
    rule: str
    request: str | None = None
