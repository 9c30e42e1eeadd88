"""Gopher's quality rules (Rae et al. 2021, appendix A.1)."""

from __future__ import annotations

from itertools import filterfalse

from loquela.data.validation.layout import Layout
from loquela.data.validation.stop_words import stop_word_count

BULLETS = ("•", "-")
ELLIPSES = ("...", "…")


def measure(layout: Layout, language: str | None) -> dict[str, float]:
    """Every rule's value; stop words are left out for a language that has no list."""
    words = layout.words.words
    count = max(1, len(words))
    lines = max(1, len(layout.lines))
    mean_length = layout.word_characters / count
    ellipses = sum(layout.text.count(mark) for mark in ELLIPSES)
    written = layout.text.split()  # "|" and "1914" stand between spaces as words do, and have no letter
    without_letters = sum(not any(map(str.isalpha, word)) for word in filterfalse(str.isalpha, written))
    values = {
        "words_min": len(words),
        "words_max": len(words),
        "mean_word_length_min": mean_length,
        "mean_word_length_max": mean_length,
        "hashes": layout.text.count("#") / count,
        "ellipses": ellipses / count,
        "bullet_lines": sum(line.lstrip().startswith(BULLETS) for line in layout.contents) / lines,
        "ellipsis_lines": sum(line.rstrip().endswith(ELLIPSES) for line in layout.contents) / lines,
        "alphabetic_words": 1 - without_letters / max(1, len(written)) if written else 0,
    }
    found = stop_word_count(set(layout.words.lower_words), language)
    if found is not None:
        values["stop_words"] = found
    return {f"gopher_quality.{name}": float(value) for name, value in values.items()}
