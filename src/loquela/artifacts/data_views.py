"""Prepared data as a person looks at it: rows as the model sees them, and one token's way back to its source."""

from __future__ import annotations

from pydantic import Field

from loquela.artifacts.corpus import Lineage
from loquela.artifacts.proof import Proof
from loquela.core.model import BoundaryModel


class PreviewToken(BoundaryModel):
    """One token of a row: `trained` where the model learns to predict it, `ends_document` for the end token."""

    id: int
    text: str
    trained: bool
    ends_document: bool


class PreviewRow(BoundaryModel):
    """One training row; `documents` are the ids of those it holds parts of, in order."""

    number: int
    tokens: list[PreviewToken]
    trained: int
    documents: list[str]
    text: str


class Preview(BoundaryModel):
    """The first rows of a split, and how many there are."""

    split: str
    context: int
    rows_total: int
    tokens_total: int
    rows: list[PreviewRow] = Field(default_factory=list)


class TokenTrace(BoundaryModel):
    """Where one token came from; `before` and `after` are the document's text around it.

    `place` counts the document's tokens from 0. `checks` say what was read again and compared.
    """

    split: str
    token: int
    id: int
    text: str
    before: str
    after: str
    shard: str
    document_number: int
    document: str
    place: int
    source: str
    language: str | None
    group: str | None
    labels: dict[str, str]
    lineage: Lineage | None
    checks: list[Proof]
