"""LangChain's loaders as sources of ours: any `BaseLoader` of any package can stand in `data.sources`.

    # my_package/sources.py, with the entry point  [project.entry-points."loquela.sources"]  notes = "…:notes"
    def notes() -> LangChainSource:
        return LangChainSource(lambda request: NotesLoader(request.rest))

Then `data.sources: [notes:some/place]`. Nothing of LangChain is imported here: a loader is what has `lazy_load`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Protocol

from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.data.documents.contract import LoadedDocument
from loquela.data.documents.draft import Draft, finished
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally, utf8_size


class LangChainDocument(Protocol):
    """What is used of LangChain's documents."""

    @property
    def page_content(self) -> str:
        """The text."""

    @property
    def metadata(self) -> Mapping[object, object]:
        """What is known of it."""


class LangChainLoader(Protocol):
    """What is used of LangChain's loaders (`langchain_core.document_loaders.BaseLoader`)."""

    def lazy_load(self) -> Iterable[LangChainDocument]:
        """One document after the other."""


def loaded_documents(loader: LangChainLoader) -> Iterator[LoadedDocument]:
    """What a LangChain loader loads, as documents of ours.

    Neighbours of one `source` that have a `page` each become one document with page spans, numbered from 1 in order;
    every other one is a document of its own. White space around a page's text is not kept, all else is.
    """
    numbered = enumerate(loader.lazy_load())
    for _, group in groupby(numbered, key=lambda pair: _together(*pair)):
        found = [document for _, document in group]
        paged = "page" in found[0].metadata
        metadata = {str(name): str(value) for name, value in found[0].metadata.items() if value is not None}
        if paged:
            metadata.pop("page", None)
        pages = [document.page_content for document in found]
        yield finished(Draft(pages, paged=paged, verbatim=not paged, metadata=metadata), "text/plain")


def _together(number: int, document: LangChainDocument) -> tuple[object, ...]:
    """Equal for neighbours that are pages of one document."""
    source = document.metadata.get("source")
    return (source,) if source is not None and "page" in document.metadata else (source, number)


class LangChainSource:
    """A source that reads with the loader that `make_loader` makes for an entry; made anew for each reading."""

    def __init__(self, make_loader: Callable[[SourceRequest], LangChainLoader]) -> None:
        self._make_loader = make_loader

    def check(self, request: SourceRequest) -> SourceCheck:
        """Load the first document; DataError(READ_FAILED) when that fails."""
        first = next(self._documents(request), None)
        message = "the loader works" if first is not None else "the loader loads nothing"
        return SourceCheck(address=request.address, size_bytes=None, texts=None, message=message)

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Digest every text that the loader loads now; DataError(READ_FAILED)."""
        digest, texts, size = hashlib.sha256(), 0, 0
        for name, document in self._named(request):
            raw = document.text.encode("utf-8")
            digest.update(f"{name}\t{hashlib.sha256(raw).hexdigest()}\n".encode())
            texts, size = texts + 1, size + len(raw)
        return SourceFingerprint(texts=texts, bytes=size, sha256=digest.hexdigest(), language=request.entry.language)

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """Every document as a text; DataError(READ_FAILED)."""
        for name, document in self._named(request):
            size = utf8_size(document.text)
            tally.enter("read", size, 1)
            tally.leave("read", size, 1)
            tally.enter("decode", size, 1)
            yield SourceText(
                name=name,
                pieces=iter([document.text]),
                language=request.entry.language,
                object_name=document.metadata.get("source"),
                raw_sha256=hashlib.sha256(document.text.encode("utf-8")).hexdigest(),
                pages_of=document.pages_of if document.pages else None,
            )

    def _named(self, request: SourceRequest) -> Iterator[tuple[str, LoadedDocument]]:
        """Each document with a name that no other of this source has."""
        seen: dict[str, int] = {}
        for document in self._documents(request):
            name = document.metadata.get("source") or request.entry.key
            seen[name] = seen.get(name, 0) + 1
            yield (name if seen[name] == 1 else f"{name}#{seen[name]}"), document

    def _documents(self, request: SourceRequest) -> Iterator[LoadedDocument]:
        try:
            yield from loaded_documents(self._make_loader(request))
        except LoquelaError:
            raise
        except Exception as error:  # a stranger's loader raises what it likes
            raise DataError(
                ErrorCode.READ_FAILED,
                f"the LangChain loader of {request.address} failed: {type(error).__name__}: {error}",
                "see what it says when it is used alone; correct the address or the loader",
                details={"source": request.address},
            ) from error
