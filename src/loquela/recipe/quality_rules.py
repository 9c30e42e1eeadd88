"""The published quality rules: name, bound, threshold and what is measured, in one table for recipe, checker and docs.

Sources: gopher_* is Rae et al. 2021 (arXiv:2112.11446, appendix A.1 and table A1); c4 is Raffel et al. 2020 (JMLR
21:140, section 2.2) with the line rules of its published code; fineweb is Penedo et al. 2024 (arXiv:2406.17557,
section 3.6). `basic` is our own: it needs only byte counts, so that it also holds for chunks of megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RuleSet = Literal["basic", "gopher_quality", "gopher_repetition", "c4", "fineweb"]
RULE_SETS: tuple[RuleSet, ...] = ("basic", "gopher_quality", "gopher_repetition", "c4", "fineweb")


@dataclass(frozen=True)
class Rule:
    """A text passes when its value is at least (`least`) or at most (`most`) the threshold."""

    name: str
    bound: Literal["least", "most"]
    threshold: float
    meaning: str

    @property
    def rule_set(self) -> str:
        """The set that the rule belongs to."""
        return self.name.partition(".")[0]

    def passes(self, value: float, threshold: float) -> bool:
        """Whether `value` is within `threshold`; a value that sits on it is."""
        return value >= threshold if self.bound == "least" else value <= threshold

    def grade(self, value: float, threshold: float) -> float:
        """1 within the threshold; beyond it the ratio by which the value misses it, down to 0."""
        if self.passes(value, threshold):
            return 1.0
        low, high = sorted((value, threshold))
        return max(0.0, low / high) if high > 0 else 0.0


def _repeated(size: int, share: float) -> Rule:
    meaning = f"share of the characters that lie in {size}-word sequences seen before"
    return Rule(f"gopher_repetition.duplicate_{size}_grams", "most", share, meaning)


def _top(size: int, share: float) -> Rule:
    meaning = f"share of the characters that the most frequent {size}-word sequence covers"
    return Rule(f"gopher_repetition.top_{size}_gram", "most", share, meaning)


_TABLE = (
    Rule("basic.letters", "least", 0.6, "share of the visible characters that are letters; non-ASCII ones count"),
    Rule("basic.digits", "most", 0.2, "share of the visible characters that are ASCII digits"),
    Rule("basic.punctuation", "most", 0.2, "share of the visible characters that are ASCII punctuation"),
    Rule("basic.uppercase", "most", 0.4, "share of the ASCII letters that are capitals"),
    Rule("basic.whitespace_min", "least", 0.02, "share of white space in all characters (blobs have none)"),
    Rule("basic.whitespace_max", "most", 0.5, "share of white space in all characters"),
    Rule("basic.mean_run", "most", 20, "mean characters between two white spaces"),
    Rule("basic.controls", "most", 0.001, "share of control characters other than tab, line feed and form feed"),
    Rule("basic.replacements", "most", 0.001, "share of U+FFFD, the mark of a decoding that failed"),
    Rule("gopher_quality.words_min", "least", 50, "words"),
    Rule("gopher_quality.words_max", "most", 100_000, "words"),
    Rule("gopher_quality.mean_word_length_min", "least", 3, "mean characters of a word"),
    Rule("gopher_quality.mean_word_length_max", "most", 10, "mean characters of a word"),
    Rule("gopher_quality.hashes", "most", 0.1, "number signs (#) a word"),
    Rule("gopher_quality.ellipses", "most", 0.1, "ellipses (... or …) a word"),
    Rule("gopher_quality.bullet_lines", "most", 0.9, "share of the lines that start with • or -"),
    Rule("gopher_quality.ellipsis_lines", "most", 0.3, "share of the lines that end in an ellipsis"),
    Rule("gopher_quality.alphabetic_words", "least", 0.8, "share of what stands between spaces that has a letter"),
    Rule("gopher_quality.stop_words", "least", 2, "different stop words of the document's language"),
    Rule("gopher_repetition.duplicate_paragraphs", "most", 0.3, "share of the paragraphs seen before"),
    Rule("gopher_repetition.duplicate_paragraph_characters", "most", 0.2, "share of the characters in such paragraphs"),
    Rule("gopher_repetition.duplicate_lines", "most", 0.3, "share of the lines seen before"),
    Rule("gopher_repetition.duplicate_line_characters", "most", 0.2, "share of the characters in such lines"),
    *(_top(size, share) for size, share in ((2, 0.2), (3, 0.18), (4, 0.16))),
    *(_repeated(size, share) for size, share in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))),
    Rule("c4.sentences", "least", 5, "sentences in the lines that the line rules keep"),
    Rule("c4.lorem_ipsum", "most", 0, "lines that hold “lorem ipsum”"),
    Rule("c4.curly_brackets", "most", 0, "lines that hold {"),
    Rule("fineweb.punctuated_lines", "least", 0.12, "share of the lines that end in a sentence's punctuation"),
    Rule("fineweb.short_lines", "most", 0.67, "share of the lines of at most 30 characters"),
    Rule("fineweb.duplicate_line_characters", "most", 0.01, "share of the characters in lines seen before"),
    Rule("fineweb.line_feeds", "most", 0.3, "line feeds a word"),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _TABLE}
