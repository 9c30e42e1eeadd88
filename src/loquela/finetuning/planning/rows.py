"""How many rows and tokens are learnt: counted in the examples artifact where it is there, else estimated and said."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from loquela.artifacts.qa_forecast import QaForecast
from loquela.artifacts.token_rows import INDEX_NAME, ROWS_NAME, read_sequences
from loquela.core.model import BoundaryModel
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.qa_section import QaSection

# Prose and JSON of questions and answers under the tokenizers of current bases.
BYTES_PER_TOKEN = 4.0
# Where no file says how many rows there are: bytes of one, keys and quotes included.
BYTES_PER_ROW = 700
TRAINED_SHARE = 0.5  # of a row, the answer
LONGEST_FACTOR = 4.0  # the longest row beside the mean one
QA_TOKENS_PER_PAIR = 160
CHARACTERS_PER_TOKEN = 4.0
TEMPLATE_TOKENS = 30  # roles and a system prompt
REFUSAL_TOKENS = 8
LINE_FORMATS = (".jsonl", ".csv", ".tsv", ".txt")


class RowFacts(BoundaryModel):
    """Of one epoch. `mean_longest`: mean length that a batch is padded to; `said` tells where the counts are from."""

    rows: int
    tokens: int
    trained_tokens: int
    longest: int
    mean_longest: float
    counted: bool
    said: str

    @property
    def trained_share(self) -> float:
        """Share of the tokens that is learnt."""
        return self.trained_tokens / max(1, self.tokens)


@dataclass(frozen=True)
class GeneratedRows:
    """Rows that are to be made from documents; `longest` in tokens, `share_read` of the documents looked at for it."""

    rows: float
    tokens: float
    trained_tokens: float
    longest: float
    share_read: float


def counted_rows(directory: Path, batch_size: int, *, paired: bool = False) -> RowFacts:
    """The rows of the training split of an examples artifact; both answers of a pair are one row.

    DataError(CORRUPTION) when its files do not fit.
    """
    records = read_sequences(directory, "train")
    if paired:
        pairs: dict[str, int] = {}
        for record in records:
            pairs[record.example] = pairs.get(record.example, 0) + record.tokens
        lengths = list(pairs.values())
    else:
        lengths = _row_lengths(directory, [record.tokens for record in records])
    return RowFacts(
        rows=len(lengths),
        tokens=sum(lengths),
        trained_tokens=sum(record.learnt for record in records),
        longest=max(lengths, default=0),
        mean_longest=_mean_longest(lengths, batch_size),
        counted=True,
        said=f"rows and tokens: counted in {directory}",
    )


def estimated_rows(
    section: ExamplesSection | None, generated: GeneratedRows | None, context: int, *, pairs: int = 0
) -> RowFacts:
    """From the bytes and lines of `examples.sources`, and what is to be made from documents: `generated`, where these
    could be looked at, else `pairs` that nothing but their number is known of.
    """
    sizes = [_size(path) for source in (section.sources if section else []) for path in _files(source)]
    held_out = section.validation_fraction + section.test_fraction if section else 0.0
    rows = (sum(lines for lines, _ in sizes) + pairs) * (1 - held_out)
    tokens = (sum(size for _, size in sizes) / BYTES_PER_TOKEN + pairs * QA_TOKENS_PER_PAIR) * (1 - held_out)
    trained = TRAINED_SHARE * tokens
    longest = LONGEST_FACTOR * tokens / max(1.0, rows)
    limit = min(context, section.max_tokens or context) if section else context
    if generated is not None:
        rows, tokens, trained = rows + generated.rows, tokens + generated.tokens, trained + generated.trained_tokens
        longest = max(longest, 1.5 * generated.longest)
    if section is not None and section.pack and section.max_tokens:
        rows = math.ceil(tokens / section.max_tokens)
        longest = section.max_tokens
    rows = max(1, round(rows))
    tokens = max(1.0, min(tokens, float(rows * limit)))
    longest = min(limit, math.ceil(longest))
    mean = longest if section is not None and section.pack else tokens / rows
    return RowFacts(
        rows=rows,
        tokens=round(tokens),
        trained_tokens=round(trained),
        longest=longest,
        mean_longest=min(float(longest), 1.5 * mean),
        counted=False,
        said=_how_estimated(generated),
    )


def generated_rows(forecast: QaForecast, section: QaSection, held_out: float) -> GeneratedRows:
    """Rows of the training split that the pairs of `forecast` become; `held_out` is the share of documents kept out."""
    pairs = forecast.pairs * (1 - held_out)
    closed = 0.0 if section.rows == "open_book" else pairs
    answered = 0.0 if section.rows == "closed_book" else pairs
    refused = answered * section.unanswerable_share
    answer = forecast.answer_characters / CHARACTERS_PER_TOKEN + 1
    asked = TEMPLATE_TOKENS + forecast.question_characters / CHARACTERS_PER_TOKEN
    passage = forecast.passage_characters / CHARACTERS_PER_TOKEN
    return GeneratedRows(
        rows=closed + answered + refused,
        tokens=closed * (asked + answer)
        + answered * (asked + passage + answer)
        + refused * (asked + passage + REFUSAL_TOKENS),
        trained_tokens=(closed + answered) * answer + refused * REFUSAL_TOKENS,
        longest=asked + answer + (passage if answered else 0.0),
        share_read=forecast.share_read,
    )


def _how_estimated(generated: GeneratedRows | None) -> str:
    if generated is None:
        return (
            f"rows and tokens: estimated, {BYTES_PER_TOKEN:g} bytes a token and half of each row learnt; "
            "`loquela prepare-data RECIPE --examples` counts them"
        )
    read = "the documents" if generated.share_read == 1 else f"{generated.share_read:.0%} of the documents"
    return (
        f"rows and tokens: estimated, {read} read, cut and asked as the run will; give or take a quarter, since pairs "
        "are sifted and splits drawn; `loquela prepare-data RECIPE --examples` counts them"
    )


def _row_lengths(directory: Path, sequences: list[int]) -> list[int]:
    index = directory / ROWS_NAME / "train" / INDEX_NAME
    if not index.is_file():
        return sequences
    firsts = np.fromfile(index, dtype="<u8").tolist()
    return [sum(sequences[first:end]) for first, end in pairwise(firsts)]


def _mean_longest(lengths: Sequence[int], batch_size: int) -> float:
    """Mean over batches of the longest of each, rows in an order drawn once."""
    if not lengths:
        return 0.0
    order = random.Random(0).sample(lengths, len(lengths))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return sum(max(batch) for batch in batches) / len(batches)


def _files(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        return [each for each in sorted(path.rglob("*")) if each.is_file()]
    if path.is_file():
        return [path]
    return [each for each in sorted(path.parent.glob(path.name)) if each.is_file()]


def _size(path: Path) -> tuple[int, int]:
    """Rows and bytes of a file; lines are counted where a row is a line."""
    size = path.stat().st_size
    if path.suffix.lower() not in LINE_FORMATS:
        return max(1, size // BYTES_PER_ROW), size
    with path.open("rb") as stream:
        lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))
    return max(1, lines), size
