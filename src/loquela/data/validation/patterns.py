"""Prohibited patterns, searched in linear time: RE2 says what matches, Hyperscan which texts RE2 need not look at.

RE2 never backtracks, so no pattern can hang it. Hyperscan searches all patterns at once and several times as fast, but
tells where a match begins only at a cost; it is asked first, and RE2 finds the places in the few texts that match.
A pattern that Hyperscan cannot take, or a machine without it, is served by RE2 alone.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Protocol

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.recipe.validation_section import ProhibitedPattern

PURPOSE = "searching for prohibited patterns"
# Memory of one RE2 automaton; a pattern that needs more is refused.
AUTOMATON_BYTES = 32 << 20
# RE2's \b knows ASCII letters only: beside any other letter it finds no edge, and the pattern would never match.
_BLIND_EDGE = re.compile(r"\\b[(?:i)]*[^\x00-\x7f]|[^\x00-\x7f][)]*\\b|[|(][^\x00-\x7f].*\\b|\\b.*[^\x00-\x7f][|)]")


class _Match(Protocol):
    def span(self) -> tuple[int, int]: ...


class _Expression(Protocol):
    def search(self, data: bytes, /) -> _Match | None: ...

    def finditer(self, data: bytes, /) -> Iterator[_Match]: ...


OnMatch = Callable[[int, int, int, int, object], bool | None]


class _Database(Protocol):
    def scan(self, data: bytes, match_event_handler: OnMatch) -> None: ...


class PatternSet:
    """Patterns compiled once. One thread at a time: the sieve keeps its working memory."""

    def __init__(self, patterns: Sequence[ProhibitedPattern]) -> None:
        """Raises RecipeError(CONFIG_INVALID) naming an unusable pattern and why, ResourceError without RE2."""
        self.patterns = list(patterns)
        re2 = require("re2", extra="data", purpose=PURPOSE) if patterns else None
        self._expressions = [_compiled(re2, pattern) for pattern in self.patterns] if re2 else []
        sieved: list[int] = []
        self._sieve: _Database | None = None
        if patterns and importlib.util.find_spec("hyperscan") is not None:
            self._sieve, sieved = _sieve(self.patterns)
        self._always = [index for index in range(len(self.patterns)) if index not in sieved]

    def matching(self, data: bytes) -> list[int]:
        """Indices of the patterns that match somewhere in `data`, which is valid UTF-8."""
        candidates = [*self._always]
        if self._sieve is not None:
            self._sieve.scan(data, match_event_handler=lambda index, *_: candidates.append(index))
        return sorted(index for index in set(candidates) if self._expressions[index].search(data))

    def spans(self, index: int, data: bytes) -> list[tuple[int, int]]:
        """Bytes [start, end) of each match of one pattern, leftmost first, without overlaps; empty matches left out."""
        spans = (match.span() for match in self._expressions[index].finditer(data))
        return [(start, end) for start, end in spans if end > start]


def _compiled(re2: ModuleType, pattern: ProhibitedPattern) -> _Expression:
    if _BLIND_EDGE.search(pattern.pattern):
        reason = r"\b finds no edge beside a letter beyond ASCII; write (?:^|[^\pL]) and (?:$|[^\pL]) in its place"
        raise _refused(pattern, reason)
    options = re2.Options()
    options.max_mem = AUTOMATON_BYTES
    options.log_errors = False
    try:
        expression: _Expression = re2.compile(pattern.pattern.encode("utf-8"), options)
    except re2.error as error:
        raise _refused(pattern, _said(*error.args)) from error
    if expression.search(b"") is not None:
        raise _refused(pattern, "it matches the empty text, and so every text")
    return expression


def _said(message: str | bytes = "", *_: object) -> str:
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else message


def _sieve(patterns: Sequence[ProhibitedPattern]) -> tuple[_Database | None, list[int]]:
    """A database of the patterns that Hyperscan takes, and their indices."""
    hyperscan = require("hyperscan", extra="data", purpose=PURPOSE)
    flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
    taken = []
    for index, pattern in enumerate(patterns):
        try:
            hyperscan.Database().compile(
                expressions=[pattern.pattern.encode("utf-8")], ids=[0], elements=1, flags=[flags]
            )
            taken.append(index)
        except hyperscan.error:
            continue  # RE2 searches for this one alone
    if not taken:
        return None, []
    database = hyperscan.Database()
    expressions = [patterns[index].pattern.encode("utf-8") for index in taken]
    database.compile(expressions=expressions, ids=taken, elements=len(taken), flags=[flags] * len(taken))
    found: _Database = database
    return found, taken


def _refused(pattern: ProhibitedPattern, reason: str) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"data.validation.patterns: {pattern.name} ({pattern.pattern}) cannot be searched for: {reason}",
        "write it in the syntax of RE2: no backreferences, no lookaround, and something that must occur",
        details={"pattern": pattern.name, "reason": reason},
    )
