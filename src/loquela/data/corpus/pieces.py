"""One text of a source → pieces with their places in it, cut as `data.splitter` says; counted under "cut"."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from loquela.data.corpus.normalize import normalized_size
from loquela.data.source_contract import SourceText
from loquela.data.splitters.cut import cut
from loquela.data.splitters.overlap import CountTokens
from loquela.data.splitters.split import Chunk, split_text
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import DataSection
from loquela.tokenizers.adopt import adopt
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer


@dataclass(frozen=True)
class Piece:
    """Characters [start, end) of the decoded text; `raw_bytes` are where they come from, None where unknown."""

    text: str
    start: int
    end: int
    raw_bytes: tuple[int, int] | None


def pieces(text: SourceText, section: DataSection, tally: Tally) -> Iterator[Piece]:
    """The pieces of `text` that are not blank, in order; counted from what leaves "decode" to what leaves "cut"."""
    flowing = _left_decoding(text, tally)
    by_paragraphs = section.splitter.method == "paragraphs"
    found = _paragraphs(text, flowing, section, tally) if by_paragraphs else _chunks(text, flowing, section, tally)
    count = 0
    for piece in found:
        count += 1
        tally.leave("cut", utf8_size(piece.text), 1)
        yield piece
    tally.leave("decode", 0, 1)
    tally.enter("cut", 0, 1)
    tally.change("cut", "text_cut_into_documents" if count else "text_without_content", 0, count - 1)


def _left_decoding(text: SourceText, tally: Tally) -> Iterator[str]:
    for piece in text.pieces:
        size = utf8_size(piece)
        tally.leave("decode", size)
        tally.enter("cut", size)
        yield piece


def _paragraphs(text: SourceText, flowing: Iterator[str], section: DataSection, tally: Tally) -> Iterator[Piece]:
    """Neighbouring pieces that joined are the text, streamed."""
    size_of = partial(normalized_size, section=section.normalization)
    start = 0
    for piece in cut(flowing, section.splitter.size(section.document_bytes), size_of):
        end = start + len(piece)
        if piece.isspace():
            tally.change("cut", "blank", -utf8_size(piece))
        else:
            yield Piece(piece, start, end, text.raw_span(start, end) if text.raw_span else text.raw_bytes)
        start = end


def _chunks(text: SourceText, flowing: Iterator[str], section: DataSection, tally: Tally) -> Iterator[Piece]:
    """Chunks of the whole text: white space between them is left out, an overlap stands in both, both counted."""
    whole = "".join(flowing)
    options = section.splitter
    chunks = list(split_text(whole, options, _counter(options.tokenizer) if options.tokenizer else None))
    end = 0
    for chunk in chunks:
        if chunk.start < end:
            tally.change("cut", "overlap", utf8_size(whole[chunk.start : end]))
        else:
            tally.change("cut", "white_space_between_chunks", -utf8_size(whole[end : chunk.start]))
        end = chunk.end
    tally.change("cut", "white_space_between_chunks" if chunks else "blank", -utf8_size(whole[end:]))
    spans = _raw_spans(text, chunks)
    for chunk in chunks:
        span = (spans[chunk.start][0], spans[chunk.end][1]) if spans else text.raw_bytes
        yield Piece(chunk.text, chunk.start, chunk.end, span)


def _raw_spans(text: SourceText, chunks: list[Chunk]) -> dict[int, tuple[int, int]]:
    """Border of a chunk → raw byte where what follows it begins, raw byte where what precedes it ends.

    A source is asked in rising order, and once for every character; chunks may overlap, their borders do not.
    """
    if text.raw_span is None or not chunks:
        return {}
    borders = sorted({place for chunk in chunks for place in (chunk.start, chunk.end)})
    begins: dict[int, int] = {}
    ends: dict[int, int] = {borders[0]: 0}
    for start, end in itertools.pairwise(borders):
        begins[start], ends[end] = text.raw_span(start, end)
    begins[borders[-1]] = ends[borders[-1]]
    return {place: (begins[place], ends[place]) for place in borders}


@cache
def _tokenizer(model_file: Path) -> TokenizerHandle:
    with TemporaryDirectory() as folder:
        adopt(model_file.expanduser(), Path(folder))
        return load_tokenizer(Path(folder))


def _counter(model_file: Path) -> CountTokens:
    tokenizer = _tokenizer(model_file)
    return lambda text: len(tokenizer.encode(text))
