"""What the rules make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variation:
    """One rewording and the rule that made it ("frame:please", "dictionary:large", "surface:lower_case")."""

    text: str
    rule: str
