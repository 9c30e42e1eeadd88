"""A Project Gutenberg book: `gutenberg:1342`, from the mirror `data.gutenberg_mirror`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.access.downloads import Download, Downloads, policy_of
from loquela.data.access.gutenberg_text import HEADER_BYTES, declared_encoding, declared_language, extract_book
from loquela.data.encoding.decode import decode
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally, utf8_size

Found = TypeVar("Found")

# Where mirrors keep the plain text of book {id}, newest form first; not every book has every form.
FILE_FORMS = (
    "/cache/epub/{id}/pg{id}.txt",
    "/files/{id}/{id}-0.txt",
    "/files/{id}/{id}-8.txt",
    "/files/{id}/{id}.txt",
)


class GutenbergSource:
    """One book without header, footer and producers' credits, in the encoding that its header declares."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The mirror has the book in one of the forms."""
        downloads = _downloads(request)
        kept = _kept(request, downloads)
        size = kept.record.size_bytes if kept else _first_found(request, downloads.size)
        known = "size not announced" if size is None else f"{size:,} bytes"
        return SourceCheck(
            address=request.address, size_bytes=size, texts=1, message=f"{request.address} is there, {known}"
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Size, SHA-256 and declared language of the downloaded file."""
        record = _download(request)
        data = record.path.read_bytes()
        return SourceFingerprint(texts=1, bytes=len(data), sha256=record.record.sha256, language=_language(data))

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The one book."""
        download = _download(request)
        data = download.path.read_bytes()
        yield SourceText(
            name=request.address,
            pieces=_pieces(data, request.address, str(download.path), tally),
            language=request.entry.language or _language(data),
        )


def _pieces(data: bytes, name: str, path: str, tally: Tally) -> Iterator[str]:
    tally.enter("read", len(data), 1)
    tally.leave("read", len(data), 1)
    tally.enter("decode", 0, 1)
    encoding = declared_encoding(data)
    book = extract_book("".join(decode([data], name, tally, declared=encoding, path=path)), name)
    for reason, removed in book.removed.items():
        tally.change("decode", reason, -utf8_size(removed))
    yield book.text


def _language(data: bytes) -> str | None:
    return declared_language(data[:HEADER_BYTES].decode("ascii", "replace").replace("\r\n", "\n"))


def _download(request: SourceRequest) -> Download:
    downloads = _downloads(request)
    return _kept(request, downloads) or _first_found(request, downloads.fetch)


def _downloads(request: SourceRequest) -> Downloads:
    return Downloads(request.downloads, policy_of(request.section))


def _addresses(request: SourceRequest) -> list[str]:
    book = request.rest.strip()
    if not book.isascii() or not book.isdigit():
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{request.address!r} names no book: after 'gutenberg:' comes its number",
            "write it like gutenberg:1342",
        )
    mirror = request.section.gutenberg_mirror.rstrip("/")
    return [mirror + form.format(id=int(book)) for form in FILE_FORMS]


def _kept(request: SourceRequest, downloads: Downloads) -> Download | None:
    """The book as an earlier run fetched it, whatever form the mirror offers today."""
    return next(filter(None, map(downloads.kept, _addresses(request))), None)


def _first_found(request: SourceRequest, ask: Callable[[str], Found]) -> Found:
    """The answer for the first form that the mirror has; DataError(DATA_NOT_FOUND) when it has none."""
    addresses = _addresses(request)
    for address in addresses:
        try:
            return ask(address)
        except DataError as error:
            if error.code is not ErrorCode.DATA_NOT_FOUND:
                raise
    raise DataError(
        ErrorCode.DATA_NOT_FOUND,
        f"{request.section.gutenberg_mirror} has no plain text of book {request.rest}; tried: {', '.join(addresses)}",
        "correct the number, or set data.gutenberg_mirror to a mirror that has the book",
        details={"tried": list(addresses)},
    )
