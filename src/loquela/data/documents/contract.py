"""What a document becomes, and what is said to the process that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, JsonValue, model_validator

from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.recipe.document_section import DocumentOptions
from loquela.recipe.encoding_section import EncodingSection


class PageSpan(BoundaryModel):
    """Characters [start, end) of the text that page `number` (from 1) holds; for EPUB, a file of its spine."""

    number: int = Field(ge=1)
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class LoadedDocument(BoundaryModel):
    """The text of one document.

    `pages` rise and do not overlap; what lies between two of them is white space that joins them. `warnings` are
    sentences for people, `metadata` what the document says of itself (title, author, …).
    """

    text: str
    pages: list[PageSpan] = Field(default_factory=list)
    media_type: str
    warnings: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _pages_rise(self) -> Self:
        end = 0
        for page in self.pages:
            if not end <= page.start <= page.end <= len(self.text):
                raise ValueError(f"page {page.number} is [{page.start}, {page.end}) of {len(self.text)} characters")
            end = page.end
        return self

    def pages_of(self, start: int, end: int) -> list[int]:
        """Numbers of the pages that the characters [start, end) touch."""
        return [page.number for page in self.pages if max(start, page.start) < min(end, page.end)]


class LoadRequest(BoundaryModel):
    """One document for the reading process; `media_type` is what somebody declared.

    The password never stands on a command line.
    """

    path: Path
    name: str
    media_type: str | None
    options: DocumentOptions
    password: str | None = None
    language: str | None = None
    encoding: EncodingSection = Field(default_factory=EncodingSection)


class LoadFailure(BoundaryModel):
    """Why a document could not be read, in the words of a DataError or ResourceError."""

    kind: str
    code: ErrorCode
    message: str
    remedy: str
    details: dict[str, JsonValue] = Field(default_factory=dict)


class LoadReply(BoundaryModel):
    """What the reading process answers; `resident_mb` is what it holds now."""

    document: LoadedDocument | None = None
    failure: LoadFailure | None = None
    resident_mb: float = 0.0


def document_error(name: str, code: ErrorCode, why: str, remedy: str, **details: JsonValue) -> DataError:
    """The error for the document called `name`: "<name> <why>"."""
    return DataError(code, f"{name} {why}", remedy, details={"document": name, **details})
