"""Instruction variations in the languages that have rules."""

from __future__ import annotations

from loquela.data.examples.augment.english_frames import english_variations
from loquela.data.examples.augment.spanish_frames import spanish_variations
from loquela.data.examples.augment.variation import Variation

FRAMES = {"en": english_variations, "es": spanish_variations}


def instruction_variations(text: str, language: str) -> list[Variation]:
    """The instruction put into other frames; empty where the language has no rules or none fits."""
    frames = FRAMES.get(language)
    return list(frames(text)) if frames else []
