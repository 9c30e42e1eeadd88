"""One text of a source → its documents: cut, placed in the source, normalised; all of it counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pydantic import Field

from loquela.artifacts.attributes import Attributes
from loquela.artifacts.corpus import Lineage
from loquela.core.model import BoundaryModel
from loquela.data.corpus.normalize import normalize_document
from loquela.data.corpus.pieces import Piece, pieces
from loquela.data.source_contract import SourceText
from loquela.data.tally import Tally
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
    for chunk, piece in enumerate(pieces(text, section, tally), start=1):
        document = normalize_document(piece.text, section.normalization, tally)
        if document:
            yield Draft(
                id=document_id(document),
                text=document,
                source=text.name,
                language=text.language,
                text_number=number,
                lineage=_lineage(text, piece, chunk),
                split_key=text.split_key,
                labels=dict(text.labels),
            )


def _lineage(text: SourceText, piece: Piece, chunk: int) -> Lineage:
    pages = text.pages_of(piece.start, piece.end) if text.pages_of else []
    return Lineage(
        object=text.object_name or text.name,
        record=text.record,
        byte_start=piece.raw_bytes[0] if piece.raw_bytes else None,
        byte_end=piece.raw_bytes[1] if piece.raw_bytes else None,
        raw_sha256=text.raw_sha256 if piece.raw_bytes == text.raw_bytes else None,
        pages=(pages[0], pages[-1]) if pages else None,
        char_start=piece.start,
        char_end=piece.end,
        text_sha256=hashlib.sha256(piece.text.encode("utf-8")).hexdigest(),
        chunk=chunk,
    )
