"""What an engine reads out of a PDF, and the errors that every engine words alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.contract import LoadRequest, document_error

# The line end that a hyphen stands before; "not a character", so no text holds it by itself.
HYPHEN_BREAK = "\ufffe"


@dataclass
class PdfText:
    """The text of every page, a line a line; HYPHEN_BREAK stands for a hyphen and the line end behind it.

    `scanned` are the numbers of pages that hold images and no text.
    """

    pages: list[str]
    scanned: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All pages, a line feed apart."""
        return "\n".join(self.pages)

    @property
    def blank(self) -> bool:
        """Whether there is no text at all."""
        return not any(page.strip() for page in self.pages)


def password_error(request: LoadRequest) -> DataError:
    """AUTH_FAILED: no password, or not the right one."""
    if request.password is None:
        return document_error(
            request.name,
            ErrorCode.AUTH_FAILED,
            "is encrypted: it opens with a password only",
            "store the password as a credential and name that in data.documents.password_credential",
        )
    return document_error(
        request.name,
        ErrorCode.AUTH_FAILED,
        "is encrypted, and the password of data.documents.password_credential does not open it",
        "store the right password under that name",
    )


def protected_error(request: LoadRequest) -> DataError:
    """AUTH_FAILED: not by a password, but by a scheme of its own."""
    return document_error(
        request.name,
        ErrorCode.AUTH_FAILED,
        "is protected by an encryption scheme that no reader here knows",
        "export it without protection from the program that opens it",
    )


def broken_error(request: LoadRequest, why: str) -> DataError:
    """CORRUPT_DATA: the engine cannot open it."""
    return document_error(
        request.name,
        ErrorCode.CORRUPT_DATA,
        f"is a broken PDF: {why}",
        "fetch it again; or repair it: qpdf broken.pdf mended.pdf",
    )


def check_page_count(request: LoadRequest, pages: int) -> None:
    """DataError (READ_FAILED) for more pages than allowed, CORRUPT_DATA for none."""
    if pages > request.options.pages_max:
        raise document_error(
            request.name,
            ErrorCode.READ_FAILED,
            f"says it has {pages:,} pages; data.documents.pages_max is {request.options.pages_max:,}",
            "raise data.documents.pages_max if that is so, or remove it from data.sources",
            pages=pages,
        )
    if pages < 1:
        raise broken_error(request, "it has no pages")


def kept_metadata(found: dict[str, str]) -> dict[str, str]:
    """Title, author, subject, keywords and dates, in lower case, without the fillers that writers leave there."""
    wanted = ("title", "author", "subject", "keywords", "creationdate")
    fillers = ("", "(anonymous)", "(unspecified)", "untitled", "none")
    lowered = {name.lstrip("/").lower(): value for name, value in found.items()}
    return {name: lowered[name] for name in wanted if lowered.get(name, "").strip().lower() not in fillers}
