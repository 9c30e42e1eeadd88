"""One text of a source → its documents: cut, placed in the source, normalised; all of it counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial

from pydantic import Field

from loquela.artifacts.attributes import Attributes
from loquela.artifacts.corpus import Lineage
from loquela.core.model import BoundaryModel
from loquela.data.cut import cut
from loquela.data.normalize import normalize_document, normalized_size
from loquela.data.source_contract import SourceText
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import DataSection

ID_DIGITS = 32


class Draft(BoundaryModel):
    """A document before it has a split; `text_number` counts the texts of its part, `split_key` is its text's."""

    id: str
    text: str
    source: str
    text_number: int
    lineage: Lineage
    language: str | None = None
    split_key: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    attributes: Attributes | None = None


def document_id(text: str) -> str:
    """The digest that a document is known by."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:ID_DIGITS]


def drafts(text: SourceText, number: int, section: DataSection, tally: Tally) -> Iterator[Draft]:
    """The documents of `text` in order, counted from what leaves "decode" to what leaves "normalize"."""
    for lineage, piece in _pieces(text, section, tally):
        document = normalize_document(piece, section.normalization, tally)
        if document:
            yield Draft(
                id=document_id(document),
                text=document,
                source=text.name,
                language=text.language,
                text_number=number,
                lineage=lineage,
                split_key=text.split_key,
                labels=dict(text.labels),
            )


def _pieces(text: SourceText, section: DataSection, tally: Tally) -> Iterator[tuple[Lineage, str]]:
    """What the text is cut into, each with its place; counted under "cut"."""
    size_of = partial(normalized_size, section=section.normalization)
    count = start = 0
    for piece in cut(_left_decoding(text, tally), section.document_bytes, size_of):
        end = start + len(piece)
        size = utf8_size(piece)
        tally.enter("cut", size)
        if piece.isspace():
            tally.change("cut", "blank", -size)
        else:
            count += 1
            tally.leave("cut", size, 1)
            yield _lineage(text, piece, start, end, count), piece
        start = end
    tally.leave("decode", 0, 1)
    tally.enter("cut", 0, 1)
    tally.change("cut", "text_cut_into_documents" if count else "text_without_content", 0, count - 1)


def _left_decoding(text: SourceText, tally: Tally) -> Iterator[str]:
    for piece in text.pieces:
        tally.leave("decode", utf8_size(piece))
        yield piece


def _lineage(text: SourceText, piece: str, start: int, end: int, chunk: int) -> Lineage:
    span = text.raw_span(start, end) if text.raw_span else text.raw_bytes
    return Lineage(
        object=text.object_name or text.name,
        record=text.record,
        byte_start=span[0] if span else None,
        byte_end=span[1] if span else None,
        raw_sha256=text.raw_sha256 if span == text.raw_bytes else None,
        char_start=start,
        char_end=end,
        text_sha256=hashlib.sha256(piece.encode("utf-8")).hexdigest(),
        chunk=chunk,
    )
