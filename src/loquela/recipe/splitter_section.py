"""Recipe section `data.splitter`: how a text longer than one document is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel

SplitMethod = Literal["paragraphs", "recursive", "character", "token"]
USUAL_SIZE = {"recursive": 2000, "character": 2000, "token": 512}


class SplitterOptions(BoundaryModel):
    """`chunk_size` and `overlap` are characters; tokens for `token`, UTF-8 bytes for `paragraphs`."""

    method: SplitMethod = Field(
        "paragraphs",
        description="paragraphs: whole paragraphs, joined they are the text; recursive: at the first separator that "
        "fits; character: at one separator; token: recursive, measured in tokens",
    )
    chunk_size: int | None = Field(
        None,
        ge=8,
        le=16_777_216,
        description="no chunk is longer (characters, tokens, or for paragraphs about so many bytes); null: "
        "data.document_bytes, 2000 characters or 512 tokens",
    )
    overlap: int = Field(
        0, ge=0, le=8_388_608, description="how much of the end of a chunk the next one begins with; not for paragraphs"
    )
    separators: list[str] | None = Field(
        None, min_length=1, description="where to cut, best first; null: blank line, line, space, anywhere"
    )
    tokenizer: Path | None = Field(
        None, description="tokenizer.json or SentencePiece .model that counts tokens for the method token"
    )
    structure: Literal["none", "markdown", "html"] = Field(
        "none", description="prefer to cut at the headings and blocks of this markup (recursive, token)"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.method == "paragraphs" and (self.overlap or self.separators or self.structure != "none"):
            raise ValueError("overlap, separators and structure are for the methods recursive, character and token")
        if self.method != "token" and self.tokenizer is not None:
            raise ValueError("tokenizer counts for the method token only")
        if self.method == "character" and (self.structure != "none" or len(self.separators or [""]) > 1):
            raise ValueError(
                "the method character cuts at one separator; use recursive for several, or for a structure"
            )
        if self.separators is not None and (self.structure != "none" or not all(self.separators)):
            raise ValueError("separators must not be empty, and a structure brings its own")
        if self.overlap * 2 > self.size():
            raise ValueError(f"overlap {self.overlap} is more than half of chunk_size {self.size()}")
        return self

    def size(self, document_bytes: int = 4096) -> int:
        """`chunk_size`, or what is usual for the method."""
        return self.chunk_size or USUAL_SIZE.get(self.method, document_bytes)
