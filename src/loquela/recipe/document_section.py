"""How documents (PDF, DOCX, HTML, Markdown, EPUB) become text, and how much each may cost.

Each document is read in a process of its own kind that is limited in time and memory; what goes over a limit costs
that one document, never the run's memory or a night of waiting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel


class DocumentOptions(BoundaryModel):
    """Applies to every document of `data.sources`; plain text files are not documents in this sense."""

    pdf_engine: Literal["auto", "pypdfium2", "pypdf", "docling"] = Field(
        "auto", description="auto: pypdfium2, then pypdf where it fails or gives garbled text; docling adds OCR, slowly"
    )
    markup: Literal["markdown", "plain"] = Field(
        "markdown",
        description="headings, lists and tables of DOCX, HTML and EPUB as Markdown and Markdown files (.md) as they "
        "are, or text without any marks",
    )
    html: Literal["whole", "main_text"] = Field(
        "whole", description="all text of an HTML page, or its main text without menus, headers and footers"
    )
    docx_comments: Literal["omit", "label"] = Field(
        "omit", description="leave reviewers' comments out, or put each behind its paragraph as [comment by …: …]"
    )
    join_hyphens: bool = Field(
        False, description="PDF: join words that a hyphen divides at a line's end; how many is reported"
    )
    drop_page_furniture: bool = Field(
        False, description="PDF: drop headers, footers and page numbers that repeat; how many lines is reported"
    )
    on_garbled: Literal["stop", "warn"] = Field(
        "stop", description="a document whose fonts hide its characters: refuse it, or keep the text with a warning"
    )
    password_credential: str | None = Field(
        None, min_length=1, description="name of the stored credential that opens encrypted documents"
    )
    timeout_seconds: float = Field(120.0, gt=0, le=86_400, description="wall-clock and CPU time per document")
    memory_mb: int = Field(
        2048, ge=256, le=1_048_576, description="address space of the process that reads documents (MB of 2^20 bytes)"
    )
    file_mb_max: int = Field(512, ge=1, le=65_536, description="a larger document is refused (MB of 2^20 bytes)")
    unpacked_mb_max: int = Field(
        512, ge=1, le=65_536, description="what a DOCX or EPUB may hold when unpacked, in all (MB of 2^20 bytes)"
    )
    pages_max: int = Field(20_000, ge=1, le=10_000_000, description="a PDF with more pages is refused")
    recycle_documents: int = Field(
        200, ge=1, le=1_000_000, description="documents after which the reading process is replaced by a fresh one"
    )
    recycle_memory_mb: int = Field(
        512, ge=64, le=1_048_576, description="resident memory after which it is replaced as well (MB of 2^20 bytes)"
    )
