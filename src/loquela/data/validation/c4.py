"""C4's rules (Raffel et al. 2020, section 2.2, and its published code): which lines stay, and what they make up."""

from __future__ import annotations

import re

from loquela.data.validation.layout import Layout, Line

END_MARKS = (".", "?", "!", '"', "'", "”", "’", "»", "。", "！", "？")
MIN_WORDS, MAX_WORD_CHARACTERS = 3, 1000
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]$")
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?=\s|$)")


def measure(layout: Layout) -> dict[str, float]:
    """Every rule's value; sentences are counted in the lines that the line rules keep."""
    contents = layout.contents
    lower = layout.text.lower()
    return {
        "c4.sentences": float(sum(sentences(line.text) for line in kept_lines(layout))),
        "c4.lorem_ipsum": float(lower.count("lorem ipsum") and sum("lorem ipsum" in line.lower() for line in contents)),
        "c4.curly_brackets": float(layout.text.count("{") and sum("{" in line for line in contents)),
    }


def kept_lines(layout: Layout) -> list[Line]:
    """The lines that C4 keeps: with an end mark, of three words or more, without JavaScript and policy notices."""
    lower = layout.text.lower()
    suspects = [phrase for phrase in ("javascript", *POLICIES) if phrase in lower]
    return [line for line in layout.lines if _stays(line.text, suspects)]


def without_rejected_lines(layout: Layout) -> str:
    """The text without the lines that C4 removes; blank lines stay, hard-wrapped paragraphs stay or go whole."""
    kept = {number for line in kept_lines(layout) for number in range(line.first, line.last + 1)}
    lines = layout.words.lines
    return "\n".join(line for number, line in enumerate(lines) if number in kept or not line.strip())


def sentences(line: str) -> int:
    """Sentences of a line, by their end marks; a line without one is a sentence."""
    return max(1, len(_SENTENCE_END.findall(line)))


def _stays(line: str, suspects: list[str]) -> bool:
    text = _CITATION.sub("", line.strip())
    if not text.endswith(END_MARKS) or text.endswith("..."):
        return False
    words = text.split()
    if len(words) < MIN_WORDS or (len(text) > MAX_WORD_CHARACTERS and max(map(len, words)) > MAX_WORD_CHARACTERS):
        return False
    lower = text.lower() if suspects else ""
    return not any(phrase in lower for phrase in suspects)
