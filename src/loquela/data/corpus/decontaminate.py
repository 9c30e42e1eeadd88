"""Evaluation files that must not be learnt: their word n-grams are looked for in every document.

A row of an evaluation file is one of its texts: a line of a .txt file between blank lines, a string of a JSON value.
Rows shorter than `ngram` words are looked for whole when they have at least `LEAST_WORDS`; shorter ones would be found
everywhere, and are counted as not looked for. (13-grams: Brown et al., 2020, appendix C.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.data.objects.local_text import require_readable
from loquela.data.shingles import Hashes, WordHashes, ngram_hashes, word_hashes
from loquela.recipe.decontamination_section import DecontaminationSection

LEAST_WORDS = 8
REDACTED = "[…]"


class EvaluationRows(BoundaryModel):
    """What is looked for: rows of all files, n-grams made of them, and rows too short to look for."""

    rows: int = 0
    ngrams: int = 0
    too_short: int = 0


@dataclass(frozen=True)
class Overlap:
    """The n-grams of a document that stand in an evaluation file: how many of how many, and the text without them."""

    matches: int
    ngrams: int
    redacted: str


class Decontaminator:
    """Knows the n-grams of the evaluation files; raises DataError for a file that is not what its suffix says."""

    def __init__(self, section: DecontaminationSection) -> None:
        self.section = section
        self.looked_for = EvaluationRows()
        found: dict[int, list[Hashes]] = {}
        for path in section.files:
            for row in evaluation_texts(path.expanduser(), section.fields):
                words = word_hashes(row).values
                self.looked_for.rows += 1
                if len(words) < min(LEAST_WORDS, section.ngram):
                    self.looked_for.too_short += 1
                else:
                    length = min(len(words), section.ngram)
                    found.setdefault(length, []).append(ngram_hashes(words, length))
        self._tables = {length: np.unique(np.concatenate(rows)) for length, rows in sorted(found.items())}
        self.looked_for.ngrams = sum(map(len, self._tables.values()))

    def overlap(self, text: str) -> Overlap | None:
        """What `text` shares with the evaluation files; None when nothing."""
        if not self._tables:
            return None
        words = word_hashes(text)
        covered = np.zeros(len(words.values), dtype=np.bool_)
        matches = ngrams = 0
        for length, table in self._tables.items():
            if len(words.values) < length:
                continue
            own = ngram_hashes(words.values, length)
            ngrams = max(ngrams, len(own))
            places = np.minimum(np.searchsorted(table, own), len(table) - 1)
            hits = np.flatnonzero(table[places] == own)
            matches += len(hits)
            for offset in range(length):
                covered[hits + offset] = True
        return Overlap(matches, ngrams, _without(text, words, covered)) if matches else None


def _without(text: str, words: WordHashes, covered: NDArray[np.bool_]) -> str:
    """`text` with every run of covered words, and what stands between them, replaced."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], covered, [False])).astype(np.int8)))
    kept: list[str] = []
    position = 0
    for first, behind in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        kept.append(text[position : int(words.starts[first])])
        position = int(words.ends[behind - 1])
    return REDACTED.join([*kept, text[position:]])


def evaluation_texts(path: Path, fields: list[str]) -> Iterator[str]:
    """The texts of one evaluation file; DataError (DATA_NOT_FOUND, CORRUPT_DATA, ENCODING_ERROR, …) names the line."""
    require_readable(path)
    try:
        whole = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            ErrorCode.ENCODING_ERROR,
            f"the evaluation file {path} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}",
            "convert it to UTF-8, or take it out of data.decontaminate.files",
            details={"path": str(path), "byte": error.start},
        ) from error
    if path.suffix.lower() == ".json":
        yield from _strings(_parsed(whole, path, 1), fields, wanted=not fields)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        for number, line in enumerate(whole.split("\n"), start=1):
            if line.strip():
                yield from _strings(_parsed(line, path, number), fields, wanted=not fields)
    else:
        yield from filter(str.strip, re.split(r"\n[^\S\n]*\n", whole.replace("\r\n", "\n")))


def _parsed(text: str, path: Path, line: int) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"the evaluation file {path}, line {line}, is no JSON: {error}",
            "correct that line, or take the file out of data.decontaminate.files",
            details={"path": str(path), "line": line},
        ) from error
    return value


def _strings(value: JsonValue, fields: list[str], *, wanted: bool) -> Iterator[str]:
    """The strings of a JSON value: all of them, or those at or below one of `fields`."""
    if isinstance(value, str):
        if wanted and value.strip():
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, fields, wanted=wanted)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, fields, wanted=wanted or name in fields)
